"""Recurrences over a chunk: the general form, and an LSTM that is fast on CPUs too.

Both take `starts` and `valid` as `ops.positions.advance` gives them: a state begins again where a
document starts, and padding leaves it as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float


def _where(condition: Bool[Array, " B"], new: Any, old: Any) -> Any:
    def choose(a: Array, b: Array) -> Array:
        return jnp.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(choose, new, old)


def recur(
    step: Callable[[Any, Any], tuple[Any, Any]],
    state: Any,
    xs: Any,
    restart_state: Any = None,
    starts: Bool[Array, "B T"] | None = None,
    valid: Bool[Array, "B T"] | None = None,
) -> tuple[Any, Any]:
    """Runs `step` along time: (state, x_t) -> (state, y_t).

    Args:
      step: any function of a state and of the inputs of one moment, on whole batches.
      state: pytree of [B, ...], the state before the chunk.
      xs: pytree of [B, T, ...].
      restart_state: like `state` (axis 0 may be 1); what a document starts from. Zeros if None.
      starts: where a document starts; None = nowhere.
      valid: False at padding, which leaves the state alone and whose output is 0; None = all True.

    Returns:
      ys, pytree of [B, T, ...], and the state after the chunk.
    """
    if restart_state is None:
        restart_state = jax.tree.map(jnp.zeros_like, state)
    restart_state = jax.tree.map(
        lambda r, s: jnp.broadcast_to(r, s.shape).astype(s.dtype), restart_state, state
    )

    def body(state: Any, moment: Any) -> tuple[Any, Any]:
        x, start, is_valid = moment
        before = state if start is None else _where(start, restart_state, state)
        after, y = step(before, x)
        if is_valid is not None:
            after = _where(is_valid, after, before)
            y = _where(is_valid, y, jax.tree.map(jnp.zeros_like, y))
        return after, y

    moments = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), (xs, starts, valid))
    state, ys = lax.scan(body, state, moments)
    return jax.tree.map(lambda y: jnp.swapaxes(y, 0, 1), ys), state


class LSTMState(NamedTuple):
    """Output h and cell c of an LSTM layer, each [B, N] float32."""

    hidden: Float[Array, "B N"]
    cell: Float[Array, "B N"]


def lstm(
    x: Float[Array, "B T D"],
    state: LSTMState,
    kernel: Float[Array, "D G"],
    recurrent_kernel: Float[Array, "N G"],
    bias: Float[Array, " G"],
    starts: Bool[Array, "B T"] | None = None,
    valid: Bool[Array, "B T"] | None = None,
) -> tuple[Float[Array, "B T N"], LSTMState]:
    """Long short-term memory with a forget gate (Gers et al., 2000), over a chunk.

        i, f, g, o = split(x W + h U + b, 4)                   # input, forget, cell, output [B, N]
        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h' = sigmoid(o) * tanh(c')

    Gates stand in PyTorch's order. The products use the dtype of `x`; gates and state are float32.
    The gradient (reverse mode only) is written by hand: the forward pass keeps the gates, all that
    needs no recurrence is done outside the loop, and the gradient of U is one product at the end.

    Args:
      x: [B, T, D].
      state: h and c before the chunk.
      kernel: W [D, 4N].
      recurrent_kernel: U [N, 4N].
      bias: b [4N].
      starts: as in `recur`; documents start from zeros.
      valid: as in `recur`.

    Returns:
      y [B, T, N] in the dtype of `x` (h', or 0 at padding), and the state after the chunk.
    """
    size = recurrent_kernel.shape[0]
    # sigmoid(z) = tanh(z / 2) / 2 + 1/2: with the halves in the weights, one tanh serves all gates.
    scale = _gate_scale(size)
    kernel, recurrent_kernel = kernel * scale[None], recurrent_kernel * scale[None]
    moments = jnp.swapaxes(x, 0, 1)  # [T, B, D]
    before = jnp.einsum(
        "tbd,dg->tbg", moments, kernel.astype(x.dtype), preferred_element_type=jnp.float32
    )
    before = before + (bias * scale)[None, None].astype(jnp.float32)
    restarts, kept = (None if m is None else m.T[..., None] for m in (starts, valid))
    hidden, cell = (s.astype(jnp.float32) for s in state)
    ys, hidden, cell = _run(before, recurrent_kernel.astype(x.dtype), hidden, cell, restarts, kept)
    return jnp.swapaxes(ys, 0, 1).astype(x.dtype), LSTMState(hidden, cell)


def _gate_scale(size: int) -> Float[Array, " G"]:
    return jnp.repeat(jnp.array([0.5, 0.5, 1.0, 0.5], jnp.float32), size)


def _reset(starts: Any, value: Array) -> Array:
    return value if starts is None else jnp.where(starts, 0.0, value)


def _forward(
    before: Array, kernel: Array, hidden: Array, cell: Array, starts: Any, valid: Any, *, save: bool
) -> tuple[tuple[Array, Array], Any]:
    """The loop. Emits h [T, B, N] and, to `save`, c and the tanh of the pre-activations."""
    size = hidden.shape[-1]

    def body(state: Any, moment: Any) -> tuple[Any, Any]:
        z, start, is_valid = moment
        h, c = _reset(start, state[0]), _reset(start, state[1])
        product = jnp.dot(h.astype(kernel.dtype), kernel, preferred_element_type=jnp.float32)
        # Behind the barrier, so that tanh is a vectorised loop of its own.
        t = lax.optimization_barrier(jnp.tanh(z + product))
        gates = [t[:, n * size : (n + 1) * size] for n in range(4)]
        i, f, o = (0.5 * gates[n] + 0.5 for n in (0, 1, 3))
        new_c = f * c + i * gates[2]
        new_h = o * jnp.tanh(new_c)
        if is_valid is not None:
            new_h, new_c = jnp.where(is_valid, new_h, h), jnp.where(is_valid, new_c, c)
        return (new_h, new_c), ((new_h, new_c, t) if save else new_h)

    return lax.scan(body, (hidden, cell), (before, starts, valid))


def _masked(valid: Any, value: Array) -> Array:
    return value if valid is None else jnp.where(valid, value, 0.0)


@jax.custom_vjp
def _run(
    before: Array, kernel: Array, hidden: Array, cell: Array, starts: Any, valid: Any
) -> tuple[Array, Array, Array]:
    """The recurrence from scaled pre-activations [T, B, 4N] to (y [T, B, N], h, c)."""
    (last_h, last_c), hs = _forward(before, kernel, hidden, cell, starts, valid, save=False)
    return _masked(valid, hs), last_h, last_c


def _run_forward(
    before: Array, kernel: Array, hidden: Array, cell: Array, starts: Any, valid: Any
) -> tuple[tuple[Array, Array, Array], Any]:
    (last_h, last_c), (hs, cs, ts) = _forward(
        before, kernel, hidden, cell, starts, valid, save=True
    )
    saved = (kernel, hidden, cell, starts, valid, hs, cs, ts)
    return (_masked(valid, hs), last_h, last_c), saved


def _run_backward(saved: Any, cotangents: tuple[Array, Array, Array]) -> tuple[Any, ...]:
    """Backward loop; with s the halves, and every d the gradient of the loss by that value:

    dc += dh o (1 - tanh(c')^2)
    dz  = (dc g, dc c, dc i, dh tanh(c')) (1 - t^2) s
    dc  = dc f,   dh = dz U^T
    """
    kernel, hidden, cell, starts, valid, hs, cs, ts = saved
    d_ys, d_hidden, d_cell = cotangents
    size = hidden.shape[-1]
    h_before = _reset(starts, jnp.concatenate([hidden[None], hs[:-1]]))
    c_before = _reset(starts, jnp.concatenate([cell[None], cs[:-1]]))
    i, f, g, o = jnp.split(ts, 4, axis=-1)
    i, f, o = 0.5 * i + 0.5, 0.5 * f + 0.5, 0.5 * o + 0.5
    tanh_c = jnp.tanh(cs)
    slopes = jnp.concatenate([g, c_before, i, tanh_c], axis=-1) * (1 - ts * ts)
    slopes = _masked(valid, slopes * _gate_scale(size)[None, None])
    through_h = _masked(valid, o * (1 - tanh_c * tanh_c))
    through_c = f if valid is None else jnp.where(valid, f, 1.0)
    through_c = _reset(starts, through_c)
    transposed = kernel.T

    def body(state: Any, moment: Any) -> tuple[Any, Any]:
        d_h, d_c = state
        d_y, slope, from_h, from_c, start, is_valid = moment
        passed = d_h
        d_h = d_h + d_y
        d_c = d_c + d_h * from_h
        d_z = jnp.concatenate([d_c, d_c, d_c, d_h], axis=-1) * slope
        d_h = jnp.dot(d_z.astype(kernel.dtype), transposed, preferred_element_type=jnp.float32)
        if is_valid is not None:
            d_h = jnp.where(is_valid, d_h, passed)
        return (_reset(start, d_h), d_c * from_c), d_z

    moments = (_masked(valid, d_ys), slopes, through_h, through_c, starts, valid)
    (d_hidden, d_cell), d_before = lax.scan(body, (d_hidden, d_cell), moments, reverse=True)
    operands = (h_before.astype(kernel.dtype), d_before.astype(kernel.dtype))
    d_kernel = jnp.einsum("tbn,tbg->ng", *operands, preferred_element_type=jnp.float32)
    return d_before, d_kernel.astype(kernel.dtype), d_hidden, d_cell, None, None


_run.defvjp(_run_forward, _run_backward)
