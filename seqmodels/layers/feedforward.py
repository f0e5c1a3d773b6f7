"""The position-wise part of a Transformer block."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from seqmodels.config.models import Activation
from seqmodels.layers.dense import Dense, Initializer
from seqmodels.layers.sharding import ACTIVATIONS, constrain

ACTIVATION_FUNCTIONS: dict[Activation, Callable[[Array], Array]] = {
    Activation.GELU: functools.partial(nn.gelu, approximate=True),
    Activation.GELU_EXACT: functools.partial(nn.gelu, approximate=False),
    Activation.RELU: nn.relu,
    Activation.SWIGLU: nn.silu,
    Activation.GEGLU: functools.partial(nn.gelu, approximate=True),
}
"""The function of each activation; for a gated activation, that of the gate."""


class FeedForward(nn.Module):
    """Two linear maps with an activation between them.

        gelu, gelu_exact, relu:  y = f(x W + b) U + c
        swiglu:                  y = (silu(x W_1 + b_1) * (x W_2 + b_2)) U + c
        geglu:                   y = (gelu(x W_1 + b_1) * (x W_2 + b_2)) U + c

    W_1 and W_2 are one product, [D, 2, F]; F is `mlp_dim` for both. GELU: Hendrycks and Gimpel,
    2016, arXiv:1606.08415, in the tanh form or with erf; swiglu and geglu: Shazeer, 2020,
    arXiv:2002.05202.

    Attributes:
      mlp_dim: F.
      activation: which f.
      use_bias: whether the linear maps have biases.
      kernel_init: initializer of W.
      output_init: initializer of U.
      gather_once: of `Dense`.
      dtype: dtype of the arithmetic.
    """

    mlp_dim: int
    activation: Activation = Activation.GELU
    use_bias: bool = False
    kernel_init: Initializer = nn.initializers.normal(0.02)
    output_init: Initializer = nn.initializers.normal(0.02)
    gather_once: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B T D"]) -> Float[Array, "B T D"]:
        gated = self.activation.gated
        wide = Dense(
            (2, self.mlp_dim) if gated else self.mlp_dim,
            ("embed", None, "mlp") if gated else ("embed", "mlp"),
            use_bias=self.use_bias,
            kernel_init=self.kernel_init,
            gather_once=self.gather_once,
            dtype=self.dtype,
            name="wide",
        )
        hidden, activate = wide(constrain(x, ACTIVATIONS)), ACTIVATION_FUNCTIONS[self.activation]
        if gated:
            hidden = activate(hidden[..., 0, :]) * hidden[..., 1, :]
        else:
            hidden = activate(hidden)
        out = Dense(
            x.shape[-1],
            ("mlp", "embed"),
            use_bias=self.use_bias,
            kernel_init=self.output_init,
            gather_once=self.gather_once,
            dtype=self.dtype,
            name="out",
        )
        return out(hidden)
