"""Transformers whose attention is a recurrence."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Num

from seqmodels.config.transformers import AarenConfig
from seqmodels.layers.embedding import make_embedding, make_head
from seqmodels.layers.linear_recurrent import AarenCell
from seqmodels.layers.positions import add_positions
from seqmodels.layers.recurrent_block import ResidualBlock, ResidualStack
from seqmodels.ops.streams import begin, follow
from seqmodels.types import Carry, DataSpec


class Aaren(nn.Module):
    """Embedding, residual blocks of `AarenCell`, head (Feng et al., 2024, arXiv:2405.13956).

    A block has the parameters of a Transformer block and D more, its query token. The carry has a
    constant size for every capacity: {"layers": the running softmax of every layer,
    "last_segment", "last_position": [B]}.

    Attributes:
      config: hyper-parameters.
      spec: inputs and outputs of the data.
      dtype: dtype of the arithmetic; parameters, norms, scores and sums are float32.
    """

    config: AarenConfig
    spec: DataSpec
    dtype: Any = jnp.float32
    causal: ClassVar[bool] = True

    def setup(self) -> None:
        config, dtype, init = self.config, self.dtype, nn.initializers.normal(0.02)
        # As in GPT-2 and in `layers.blocks`.
        scaled = nn.initializers.normal(0.02 / math.sqrt(2 * config.num_layers))
        common: dict[str, Any] = {
            "use_bias": config.use_bias,
            "kernel_init": init,
            "output_init": scaled,
            "dtype": dtype,
        }

        def make_block() -> ResidualBlock:
            return ResidualBlock(
                lambda: AarenCell(config.model_dim, num_heads=config.num_heads, **common),
                config.model_dim,
                config.mlp_dim,
                norm_placement=config.norm_placement,
                norm_epsilon=config.norm_epsilon,
                activation=config.activation,
                dropout_rate=config.dropout_rate,
                **common,
            )

        self.embedding = make_embedding(self.spec, config.model_dim, init, dtype)
        self.dropout = nn.Dropout(config.dropout_rate)
        self.stack = ResidualStack(make_block, config.num_layers)
        self.head = make_head(
            self.spec, tied=config.tie_embeddings, use_bias=config.use_bias, init=init, dtype=dtype
        )

    def initial_carry(self, batch_size: int, capacity: int, memory: Any = None) -> Carry:
        """The state before the first token; `capacity` and `memory` are not used."""
        del capacity, memory
        return {"layers": self.stack.initial_state(batch_size), **begin(batch_size)}

    def __call__(
        self,
        inputs: Num[Array, "B T *features"],
        carry: Carry = None,
        *,
        segment_ids: Integer[Array, "B T"] | None = None,
        memory: Any = None,
        train: bool,
    ) -> tuple[Float[Array, "B T D"], Carry]:
        """Runs a chunk; with `carry=None` from an empty state, and returns no carry."""
        batch_size, length = inputs.shape[:2]
        before = self.initial_carry(batch_size, length, memory) if carry is None else carry
        stream = follow((batch_size, length), segment_ids, before)
        x = self.embedding(inputs, segment_ids)
        x = add_positions(x, stream.positions, self.config.position)
        x = self.dropout(x, deterministic=not train)
        marks = (stream.starts, stream.valid)
        features, layers = self.stack(x, before["layers"], *marks, train=train)
        return features, None if carry is None else {"layers": layers, **stream.after}

    def readout(self, features: Float[Array, "*rows D"]) -> Float[Array, "*outputs"]:
        """Outputs in float32; logits [..., V] for a language model."""
        return self.embedding.attend(features) if self.head is None else self.head(features)
