"""The position-wise part of a Transformer block."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from seqmodels.config.transformers import Activation
from seqmodels.layers.dense import Dense, Initializer


class FeedForward(nn.Module):
    """Two linear maps and what stands between them.

        gelu:    y = gelu(x W + b) U + c                       # tanh form, as in GPT-2
        swiglu:  y = (silu(x W_1 + b_1) * (x W_2 + b_2)) U + c # Shazeer, 2020, arXiv:2002.05202

    W_1 and W_2 are one product, [D, 2, F]; F is `mlp_dim` for both.

    Attributes:
      mlp_dim: F.
      activation: gelu or swiglu.
      use_bias: whether the biases are there.
      kernel_init: initializer of W.
      output_init: initializer of U.
      dtype: dtype of the arithmetic.
    """

    mlp_dim: int
    activation: Activation = Activation.GELU
    use_bias: bool = False
    kernel_init: Initializer = nn.initializers.normal(0.02)
    output_init: Initializer = nn.initializers.normal(0.02)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B T D"]) -> Float[Array, "B T D"]:
        gated = self.activation == Activation.SWIGLU
        wide = Dense(
            (2, self.mlp_dim) if gated else self.mlp_dim,
            ("embed", None, "mlp") if gated else ("embed", "mlp"),
            use_bias=self.use_bias,
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            name="wide",
        )
        hidden = wide(x)
        if gated:
            hidden = nn.silu(hidden[..., 0, :]) * hidden[..., 1, :]
        else:
            hidden = nn.gelu(hidden, approximate=True)
        out = Dense(
            x.shape[-1],
            ("mlp", "embed"),
            use_bias=self.use_bias,
            kernel_init=self.output_init,
            dtype=self.dtype,
            name="out",
        )
        return out(hidden)
