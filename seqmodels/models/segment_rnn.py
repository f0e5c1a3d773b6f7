"""Recurrent cells over the segments of a window of a series."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from seqmodels.config.forecasting import SegmentRNNConfig
from seqmodels.layers.dense import Dense
from seqmodels.layers.embedding import Head
from seqmodels.layers.record import further_call
from seqmodels.layers.recurrent import RecurrentStack
from seqmodels.layers.sharding import parameter
from seqmodels.layers.windows import WindowModel, cut_segments
from seqmodels.models.build import make_cell
from seqmodels.types import DataSpec, ValueOutput


class SegmentRNN(WindowModel):
    """Cells that read a segment of w steps at once, and write all segments of the horizon at once.

        e_i = relu(segment_i W + b)                            # [B, D], i = 1 .. M
        h   = cell(e_M, .. cell(e_1, 0))                       # the state after the window
        f_j = cell(p_j, h),   j = 1 .. ceil(H / w)             # [B, N], one step each, from h
        y_j = f_j U + c                                        # [B, w C Q]

    p_j is a learned vector for the place of a segment in the horizon. Differs from the paper: p_j
    has no part for the channel. Source: Lin et al., 2023, arXiv:2308.11200.

    Attributes:
      config: hyper-parameters.
      spec: inputs and outputs of the data.
      dtype: dtype of the products; parameters and states are float32.
    """

    config: SegmentRNNConfig
    spec: DataSpec
    dtype: Any = jnp.float32

    def setup(self) -> None:
        self.check_spec()
        config, dtype = self.config, self.dtype
        self.embedding = Dense(config.model_dim, (None, "embed"), dtype=dtype)
        self.dropout = nn.Dropout(config.dropout_rate)
        make_layer = lambda: make_cell(config, dtype)
        self.layers = RecurrentStack(make_layer, config.num_layers, config.dropout_rate)
        self.num_segments = math.ceil(self._outputs.horizon / config.segment_length)
        shape = (self.num_segments, config.model_dim)
        init = nn.initializers.normal(0.02)
        self.places = parameter(self, "places", init, (None, "embed"), shape)
        out = self._outputs
        segment = (config.segment_length, out.num_channels, out.num_quantiles)
        self.head = Head(segment, ("hidden", None), dtype=dtype)

    @property
    def _outputs(self) -> ValueOutput:
        assert isinstance(self.spec.outputs, ValueOutput)
        return self.spec.outputs

    def transform(self, x: Float[Array, "B T C"], train: bool) -> Float[Array, "B D"]:
        batch_size, size = x.shape[0], self.num_segments
        segments = nn.relu(self.embedding(cut_segments(x, self.config.segment_length)))
        state = self.layers.initial_state(batch_size)
        _, state = self.layers(segments, state, train=train)
        # Every segment of the horizon is a row of its own, which begins with the same state.
        state = jax.tree.map(lambda leaf: jnp.repeat(leaf, size, axis=0), state)
        places = jnp.broadcast_to(self.places[None], (batch_size, *self.places.shape))
        places = places.reshape(batch_size * size, 1, -1).astype(self.dtype)
        with further_call("horizon"):
            features, _ = self.layers(places, state, train=train)
        features = self.dropout(features, deterministic=not train)
        return features.reshape(batch_size, -1)

    def readout(self, features: Float[Array, "B D"]) -> Float[Array, "B H C Q"]:
        """Values in float32."""
        y = self.head(features.reshape(features.shape[0], self.num_segments, -1))
        y = y.reshape(y.shape[0], -1, *y.shape[3:])  # [B, M w, C, Q]
        return y[:, : self._outputs.horizon]
