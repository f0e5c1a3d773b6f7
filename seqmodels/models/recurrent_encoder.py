"""Recurrent layers that read a whole sequence, for classification and tagging."""

from __future__ import annotations

from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Num

from seqmodels.config.recurrent import InputEncoding, RecurrentEncoderConfig
from seqmodels.layers.embedding import make_embedding, make_head
from seqmodels.layers.pooling import SequencePooling
from seqmodels.layers.recurrent import Bidirectional, RecurrentStack
from seqmodels.models.build import make_cell
from seqmodels.ops.positions import advance
from seqmodels.types import Carry, ClassOutput, DataSpec


class RecurrentEncoder(nn.Module):
    """Embedding, recurrent layers (in two directions where `bidirectional`), pooling, head.

    With one output per sequence, every row is one document and the features are pooled over its
    tokens. Otherwise there is one output per token, and no document sees another.

    Attributes:
      config: hyper-parameters.
      spec: inputs and outputs of the data.
      dtype: dtype of the products; parameters and states are float32.
    """

    config: RecurrentEncoderConfig
    spec: DataSpec
    dtype: Any = jnp.float32
    causal: ClassVar[bool] = False

    def setup(self) -> None:
        config, dtype = self.config, self.dtype
        one_hot = config.input_encoding is InputEncoding.ONE_HOT
        self.embedding = make_embedding(self.spec, config.model_dim, dtype=dtype, one_hot=one_hot)
        self.dropout = nn.Dropout(config.dropout_rate)
        make_reader = lambda: make_cell(config, dtype)
        make_layer = (lambda: Bidirectional(make_reader)) if config.bidirectional else make_reader
        self.layers = RecurrentStack(make_layer, config.num_layers, config.dropout_rate)
        outputs = self.spec.outputs
        self.pool = None
        if isinstance(outputs, ClassOutput) and not outputs.per_step:
            self.pool = SequencePooling(config.pooling, config.bidirectional, dtype)
        self.head = make_head(self.spec, input_name="hidden", dtype=dtype)

    def initial_carry(self, batch_size: int, capacity: int, memory: Any = None) -> Carry:
        raise ValueError("recurrent_encoder looks both ways and has no carry")

    def __call__(
        self,
        inputs: Num[Array, "B T *features"],
        carry: Carry = None,
        *,
        segment_ids: Integer[Array, "B T"] | None = None,
        memory: Any = None,
        train: bool,
    ) -> tuple[Float[Array, "B *time F"], None]:
        """Features [B, T, F], or [B, F] if pooled; F = N, or 2N with two directions."""
        if carry is not None:
            raise ValueError("recurrent_encoder looks both ways and takes no carry")
        batch_size = inputs.shape[0]
        starts = valid = None
        if segment_ids is not None:
            nothing = jnp.zeros(batch_size, jnp.int32)
            step = advance(segment_ids.astype(jnp.int32), nothing, nothing - 1)
            starts, valid = step.starts, step.valid
        x = self.dropout(self.embedding(inputs, segment_ids), deterministic=not train)
        state = self.layers.initial_state(batch_size)
        features, _ = self.layers(x, state, starts, valid, train=train)
        return features if self.pool is None else self.pool(features, valid), None

    def readout(self, features: Float[Array, "*rows F"]) -> Float[Array, "*outputs"]:
        """Outputs in float32: logits [..., C] of classes, [..., V] of tokens."""
        assert self.head is not None  # never tied
        return self.head(features)
