"""Layers over `ops.convolution`."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from seqmodels.layers.dense import Dense
from seqmodels.layers.sharding import ACTIVATIONS, constrain, parameter
from seqmodels.ops.convolution import (
    causal_convolution,
    compact,
    depthwise_convolution,
    history_length,
    wide_convolution,
)

# Fan-in is taps times features, as variance_scaling counts the axes of a [W, D, F] kernel.
HE_NORMAL = nn.initializers.he_normal()


class CausalConvolution(nn.Module):
    """Causal convolution with bias: an output reads `width` inputs, `dilation` apart.

    Attributes:
      features: F.
      width: number of taps, W.
      dilation: steps from one tap to the next.
      dtype: dtype of the product.
    """

    features: int
    width: int
    dilation: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        history: Float[Array, "B R D"],
        starts: Bool[Array, "B T"] | None = None,
        count: Int[Array, " B"] | None = None,
    ) -> tuple[Float[Array, "B T F"], Float[Array, "B R D"]]:
        kernel, bias = _kernel_and_bias(self, self.width, x.shape[-1], self.features)
        x = x.astype(self.dtype)
        y, history = causal_convolution(x, kernel, history, self.dilation, starts, count)
        return y + bias.astype(self.dtype)[None, None], history


def _kernel_and_bias(module: nn.Module, *shape: int) -> tuple[Any, Any]:
    kernel = parameter(module, "kernel", HE_NORMAL, (None, "embed", "mlp"), shape)
    return kernel, parameter(module, "bias", nn.initializers.zeros, ("mlp",), shape[-1:])


class ShortConvolution(nn.Module):
    """Causal convolution of each feature separately, over the last `width` tokens of a document.

    Attributes:
      width: number of taps, W.
      features: D.
      dtype: dtype of the arithmetic.
    """

    width: int
    features: int
    dtype: Any = jnp.float32

    def initial_state(self, batch_size: int) -> Float[Array, "B R D"]:
        """The W - 1 tokens before the first: zeros."""
        return jnp.zeros((batch_size, history_length(self.width), self.features))

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        state: Float[Array, "B R D"],
        starts: Bool[Array, "B T"] | None = None,
        valid: Bool[Array, "B T"] | None = None,
    ) -> tuple[Float[Array, "B T D"], Float[Array, "B R D"]]:
        uniform = nn.initializers.variance_scaling(1.0, "fan_in", "uniform", in_axis=0, out_axis=())
        size, zeros = (self.width, self.features), nn.initializers.zeros
        kernel = parameter(self, "kernel", uniform, (None, "embed"), size)
        bias = parameter(self, "bias", zeros, ("embed",), size[1:])
        x, bias = x.astype(self.dtype), bias.astype(self.dtype)[None, None]
        if valid is None:
            y, state = depthwise_convolution(x, kernel, state, starts)
            return y + bias, state
        packing = compact(valid)
        starts = None if starts is None else packing.pack(starts)
        y, state = depthwise_convolution(packing.pack(x), kernel, state, starts, packing.count)
        return packing.unpack(y + bias), state


class TemporalBlock(nn.Module):
    """Two dilated causal convolutions and a shortcut (Bai et al., 2018, arXiv:1803.01271).

        y = drop(relu(conv(x)));   y = drop(relu(conv(y)))
        out = relu(y + x S)                                    # S: only where the widths differ

    Differs from the paper: no weight normalisation, so the kernels start from He et al.'s.

    Attributes:
      features: F, channels of both convolutions.
      input_features: D, width of x.
      width: taps of each.
      dilation: steps from one tap to the next.
      dropout_rate: share of the outputs set to 0.
      dtype: dtype of the arithmetic.
    """

    features: int
    input_features: int
    width: int
    dilation: int
    dropout_rate: float = 0.0
    dtype: Any = jnp.float32

    def setup(self) -> None:
        common = (self.features, self.width, self.dilation, self.dtype)
        self.convolutions = [CausalConvolution(*common) for _ in range(2)]
        self.dropout = nn.Dropout(self.dropout_rate)
        if self.features != self.input_features:
            self.shortcut = Dense(self.features, ("embed", "mlp"), dtype=self.dtype)

    def initial_state(self, batch_size: int) -> dict[str, Any]:
        """Inputs of both convolutions before the first token: zeros."""
        length = history_length(self.width, self.dilation)
        sizes = (self.input_features, self.features)
        return {
            f"convolution_{n}": jnp.zeros((batch_size, length, size))
            for n, size in enumerate(sizes)
        }

    def __call__(
        self,
        x: Float[Array, "B T D"],
        state: dict[str, Any],
        starts: Bool[Array, "B T"] | None = None,
        count: Int[Array, " B"] | None = None,
        *,
        train: bool,
    ) -> tuple[Float[Array, "B T F"], dict[str, Any]]:
        y, after = x, {}
        for n, convolve in enumerate(self.convolutions):
            name = f"convolution_{n}"
            y, after[name] = convolve(y, state[name], starts, count)
            y = self.dropout(nn.relu(y), deterministic=not train)
        shortcut = x if self.features == self.input_features else self.shortcut(x)
        return constrain(nn.relu(y + shortcut), ACTIVATIONS), after


class WindowMaximum(nn.Module):
    """Maximum response of each filter over the windows of a document (Kim, 2014, arXiv:1408.5882).

        y = max_s relu(sum_w x_(s - W + 1 + w) K_w + b)        # over windows s with a token in them

    Attributes:
      features: F, number of filters.
      width: tokens of a window, W.
      dtype: dtype of the product.
    """

    features: int
    width: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "B T D"], count: Int[Array, " B"] | None = None
    ) -> Float[Array, "B F"]:
        """Each row has `count` tokens followed by zeros; None = T tokens."""
        kernel, bias = _kernel_and_bias(self, self.width, x.shape[-1], self.features)
        y = wide_convolution(x.astype(self.dtype), kernel)
        y = nn.relu(y + bias.astype(self.dtype)[None, None])
        if count is not None:
            held = jnp.arange(y.shape[1])[None] < count[:, None] + self.width - 1
            y = jnp.where(held[..., None] & (count > 0)[:, None, None], y, 0.0)
        return jnp.max(y, axis=1)
