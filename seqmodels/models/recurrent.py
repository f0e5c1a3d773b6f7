"""Sequence models over a stack of recurrent layers."""

from __future__ import annotations

from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Num

from seqmodels.config.recurrent import InputEncoding, RecurrentBlock, RecurrentConfig
from seqmodels.layers.embedding import make_embedding, make_head
from seqmodels.layers.recurrent import RecurrentStack
from seqmodels.layers.recurrent_block import ResidualBlock, ResidualStack
from seqmodels.models.build import make_cell
from seqmodels.ops.positions import advance
from seqmodels.types import Carry, DataSpec


class Recurrent(nn.Module):
    """Embedding, recurrent layers, head.

    The carry has a constant size for every capacity: {"layers": the state of every layer,
    "last_segment": [B], "last_position": [B]}.

    Attributes:
      config: hyper-parameters.
      spec: inputs and outputs of the data.
      dtype: dtype of the products; parameters and states are float32.
    """

    config: RecurrentConfig
    spec: DataSpec
    dtype: Any = jnp.float32
    causal: ClassVar[bool] = True

    def setup(self) -> None:
        config, dtype = self.config, self.dtype
        plain = config.block is RecurrentBlock.PLAIN
        one_hot = config.input_encoding is InputEncoding.ONE_HOT
        self.embedding = make_embedding(self.spec, config.model_dim, dtype=dtype, one_hot=one_hot)
        self.dropout = nn.Dropout(config.dropout_rate)
        make_layer = lambda: make_cell(config, dtype)
        if plain:
            self.layers = RecurrentStack(make_layer, config.num_layers, config.dropout_rate)
        else:
            make_block = lambda: ResidualBlock(
                make_layer,
                config.model_dim,
                config.mlp_dim,
                config.convolution_width,
                dropout_rate=config.dropout_rate,
                dtype=dtype,
            )
            self.layers = ResidualStack(make_block, config.num_layers)
        self.head = make_head(
            self.spec, tied=config.tie_embeddings, input_name="hidden", dtype=dtype
        )

    def initial_carry(self, batch_size: int, capacity: int, memory: Any = None) -> Carry:
        """The state before the first token; `capacity` and `memory` are not used."""
        del capacity, memory
        return {
            "layers": self.layers.initial_state(batch_size),
            "last_segment": jnp.zeros(batch_size, jnp.int32),
            "last_position": jnp.full(batch_size, -1, jnp.int32),
        }

    def __call__(
        self,
        inputs: Num[Array, "B T *features"],
        carry: Carry = None,
        *,
        segment_ids: Integer[Array, "B T"] | None = None,
        memory: Any = None,
        train: bool,
    ) -> tuple[Float[Array, "B T N"], Carry]:
        """Runs a chunk; with `carry=None` from the initial state, and returns no carry."""
        batch_size, length = inputs.shape[:2]
        before = self.initial_carry(batch_size, length, memory) if carry is None else carry
        segment, position = before["last_segment"], before["last_position"]
        if segment_ids is None:
            starts = valid = None
            segment, position = jnp.maximum(segment, 1), position + length
        else:
            step = advance(segment_ids.astype(jnp.int32), segment, position)
            starts, valid = step.starts, step.valid
            segment, position = step.last_segment, step.last_position
        x = self.dropout(self.embedding(inputs, segment_ids), deterministic=not train)
        features, layers = self.layers(x, before["layers"], starts, valid, train=train)
        after = {"layers": layers, "last_segment": segment, "last_position": position}
        return features, None if carry is None else after

    def readout(self, features: Float[Array, "*rows N"]) -> Float[Array, "*outputs"]:
        """Outputs in float32; logits [..., V] for a language model."""
        return self.embedding.attend(features) if self.head is None else self.head(features)
