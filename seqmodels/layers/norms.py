"""Normalisation over the last axis."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from seqmodels.config.transformers import Norm


def make_norm(
    norm: Norm = Norm.LAYER,
    *,
    epsilon: float = 1e-5,
    use_bias: bool = True,
    dtype: Any = jnp.float32,
    name: str | None = None,
) -> nn.Module:
    """Builds a norm of [..., D], computed in float32.

        layer:  y = (x - mean(x)) / sqrt(var(x) + epsilon) * scale + bias
        rms:    y = x / sqrt(mean(x^2) + epsilon) * scale

    The variance is the mean of (x - mean(x))^2. flax's default, mean(x^2) - mean(x)^2, loses it in
    rounding where the mean is large: with mean 1000 and deviation 0.1, nothing of it is left.

    Sources: Ba et al., 2016, arXiv:1607.06450; Zhang and Sennrich, 2019, arXiv:1910.07467.

    Args:
      norm: which of the two.
      epsilon: added to the variance.
      use_bias: whether a layer norm has a bias.
      dtype: of the result.
      name: of the module, where it is built inside a compact method.
    """
    scale = nn.with_logical_partitioning(nn.initializers.ones, ("norm",))
    if norm is Norm.RMS:
        return nn.RMSNorm(epsilon=epsilon, dtype=dtype, scale_init=scale, name=name)
    bias = nn.with_logical_partitioning(nn.initializers.zeros, ("norm",))
    return nn.LayerNorm(
        epsilon=epsilon,
        use_bias=use_bias,
        use_fast_variance=False,
        dtype=dtype,
        scale_init=scale,
        bias_init=bias,
        name=name,
    )
