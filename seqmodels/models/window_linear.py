"""Linear maps of a window of a series."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from seqmodels.config.forecasting import WindowForm, WindowLinearConfig
from seqmodels.layers.embedding import make_head
from seqmodels.layers.windows import WindowModel
from seqmodels.types import DataSpec


class WindowLinear(WindowModel):
    """One linear map of all values of a window.

        plain:       y = x W + b                               # [B, T C] -> [B, H C]
        decomposed:  y = m U + (x - m) W + b,   m the moving average of x over time

    At the ends the average sees the first and the last value repeated. With a series for each
    channel (`task.separate_channels`), plain with `task.window_scale=last_value` is NLinear, and
    decomposed is DLinear; with all channels in one series the map mixes them.
    Source: Zeng et al., 2023, arXiv:2205.13504.

    Attributes:
      config: hyper-parameters.
      spec: inputs and outputs of the data.
      dtype: dtype of the product; parameters and outputs are float32.
    """

    config: WindowLinearConfig
    spec: DataSpec
    dtype: Any = jnp.float32

    def setup(self) -> None:
        self.check_spec()
        self.dropout = nn.Dropout(self.config.dropout_rate)
        # Close to zero, so that what does not vary in training has no part in a forecast.
        init = nn.initializers.normal(1e-4)
        self.head: Any = make_head(self.spec, init=init, dtype=self.dtype)

    def transform(self, x: Float[Array, "B T C"], train: bool) -> Float[Array, "B D"]:
        if self.config.form is WindowForm.DECOMPOSED:
            average = moving_average(x, self.config.average_length)
            x = jnp.concatenate([average, x - average], axis=1)
        x = x.reshape(x.shape[0], -1)
        return self.dropout(x, deterministic=not train)

    def readout(self, features: Float[Array, "*rows D"]) -> Float[Array, "*outputs"]:
        """Values in float32, [B, H, C, Q]."""
        return self.head(features)


def moving_average(x: Float[Array, "B T C"], length: int) -> Float[Array, "B T C"]:
    """Mean of `length` (odd) steps around each; the ends are repeated."""
    side = length // 2
    first, last = (jnp.repeat(end, side, axis=1) for end in (x[:, :1], x[:, -1:]))
    return nn.avg_pool(jnp.concatenate([first, x, last], axis=1), (length,), (1,))
