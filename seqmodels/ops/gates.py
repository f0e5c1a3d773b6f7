"""Gates and states of recurrences at every step, for pictures.

The recurrences of `ops.lstm` and `ops.rnn` are written for speed and do not return them. These
are the plain equations of the same cells; arguments and marks are those of the fast forms.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from seqmodels.ops.lstm import LayerNormLSTMParams, LSTMState, layer_norm
from seqmodels.ops.recurrent import input_product, recur, state_product

Gates = dict[str, Float[Array, "B *T _"]]


def lstm_gates(
    x: Float[Array, "B T D"],
    state: LSTMState,
    kernel: Float[Array, "D G"],
    recurrent_kernel: Float[Array, "P G"],
    bias: Float[Array, " G"],
    starts: Bool[Array, "B T"] | None = None,
    valid: Bool[Array, "B T"] | None = None,
    restart_state: LSTMState | None = None,
    *,
    projection: Float[Array, "N P"] | None = None,
    norms: LayerNormLSTMParams | None = None,
) -> Gates:
    """Gates of an LSTM, `ops.lstm.lstm` and its variants.

    Args:
      projection: of `projected_lstm`.
      norms: of `layer_norm_lstm`.

    Returns:
      input_gate, forget_gate, candidate, output_gate, cell [B, T, N] and hidden [B, T, P]; 0 at
      padding.
    """
    recurrent_kernel = recurrent_kernel.astype(x.dtype)
    if norms is None:
        before = input_product(x, kernel, bias)
    else:
        before = layer_norm(input_product(x, kernel, jnp.zeros_like(bias)))
        before = before * norms.input_scale[None, None] + bias[None, None]

    def step(state: LSTMState, z: Array) -> tuple[LSTMState, Gates]:
        product = state_product(state.hidden, recurrent_kernel)
        if norms is not None:
            product = layer_norm(product) * norms.recurrent_scale[None]
        i, f, g, o = jnp.split(z + product, 4, axis=-1)
        i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o)
        cell = inner = f * state.cell + i * g
        if norms is not None:
            inner = layer_norm(cell) * norms.cell_scale[None] + norms.cell_bias[None]
        hidden = o * jnp.tanh(inner)
        if projection is not None:
            hidden = state_product(hidden, projection.astype(x.dtype))
        names = ("input_gate", "forget_gate", "candidate", "output_gate", "cell", "hidden")
        gates: Gates = dict(zip(names, (i, f, g, o, cell, hidden), strict=True))
        return LSTMState(hidden, cell), gates

    return recur(step, state, before, restart_state, starts, valid)[0]


def gru_gates(
    x: Float[Array, "B T D"],
    state: Float[Array, "B N"],
    kernel: Float[Array, "D G"],
    recurrent_kernel: Float[Array, "N G"],
    bias: Float[Array, " G"],
    recurrent_bias: Float[Array, " N"] | None,
    starts: Bool[Array, "B T"] | None = None,
    valid: Bool[Array, "B T"] | None = None,
    restart_state: Any = None,
) -> Gates:
    """Gates of a GRU: `ops.rnn.gru`, or `ops.rnn.gru_reset_before` without a recurrent bias.

    Returns:
      reset_gate, update_gate (1 keeps the state), candidate and hidden [B, T, N]; 0 at padding.
    """
    size = recurrent_kernel.shape[0]
    gate_kernel, new_kernel = jnp.split(recurrent_kernel.astype(x.dtype), [2 * size], axis=1)

    def step(h: Array, moment: Array) -> tuple[Array, Gates]:
        gates, new = jnp.split(moment, [2 * size], axis=-1)
        r, z = jnp.split(jax.nn.sigmoid(gates + state_product(h, gate_kernel)), 2, axis=-1)
        if recurrent_bias is None:
            n = jnp.tanh(new + state_product(r * h, new_kernel))
        else:
            n = jnp.tanh(new + r * (state_product(h, new_kernel) + recurrent_bias[None]))
        h = (1 - z) * n + z * h
        return h, {"reset_gate": r, "update_gate": z, "candidate": n, "hidden": h}

    before = input_product(x, kernel, bias)
    return recur(step, state.astype(jnp.float32), before, restart_state, starts, valid)[0]
