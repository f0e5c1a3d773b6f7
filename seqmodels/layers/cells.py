"""Recurrent cells.

A cell is itself a function of a chunk: (x [B, T, D], state) -> (y [B, T, N], state).
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from seqmodels.layers.dense import Initializer
from seqmodels.ops.recurrent import LSTMState, lstm


def gate_init(init: Initializer, num_gates: int) -> Initializer:
    """Initializes the [D, gates * N] kernel of several gates one gate at a time."""

    def initialize(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        keys = jax.random.split(key, num_gates)
        size = (shape[0], shape[1] // num_gates)
        return jnp.concatenate([init(k, size, dtype) for k in keys], axis=1)

    return initialize


class LSTMCell(nn.Module):
    """Long short-term memory; equations, gate order and dtypes in `ops.recurrent.lstm`.

    Attributes:
      hidden_dim: N, width of the state.
      forget_bias: initial bias of the forget gate (1: Jozefowicz et al., 2015); other biases are 0.
      dtype: dtype of the products; the state is float32.
    """

    hidden_dim: int
    forget_bias: float = 1.0
    dtype: Any = jnp.float32

    def initial_state(self, batch_size: int) -> LSTMState:
        """Zeros, [B, N] each."""
        # Two arrays, not one twice: a donated carry must not hold the same buffer twice.
        return LSTMState(*(jnp.zeros((batch_size, self.hidden_dim)) for _ in range(2)))

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        state: LSTMState,
        starts: Bool[Array, "B T"] | None = None,
        valid: Bool[Array, "B T"] | None = None,
    ) -> tuple[Float[Array, "B T N"], LSTMState]:
        size = self.hidden_dim
        spread = gate_init(nn.initializers.glorot_uniform(), 4)
        square = gate_init(nn.initializers.orthogonal(), 4)

        def bias_init(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
            return jnp.zeros(shape, dtype).at[size : 2 * size].set(self.forget_bias)

        def param(name: str, init: Initializer, names: tuple[str, ...], *shape: int) -> Any:
            return self.param(name, nn.with_logical_partitioning(init, names), shape, jnp.float32)

        kernel = param("kernel", spread, ("embed", "gates"), x.shape[-1], 4 * size)
        recurrent_kernel = param("recurrent_kernel", square, ("hidden", "gates"), size, 4 * size)
        bias = param("bias", bias_init, ("gates",), 4 * size)
        # Whole on every device: a split one would be gathered at each step of the loop.
        recurrent_kernel = nn.with_logical_constraint(recurrent_kernel, (None, None))
        return lstm(x.astype(self.dtype), state, kernel, recurrent_kernel, bias, starts, valid)
