"""Recurrences over a chunk: the general form, and what those that are written for speed share.

All take `starts` and `valid` of `ops.positions.advance`. Where a document starts, the state is set
to `restart_state`, or to zeros where that is None; padding leaves the state unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
      step: any function of a state and the inputs of one time step, on whole batches.
      state: pytree of [B, ...], the state before the chunk.
      xs: pytree of [B, T, ...].
      restart_state: state before a document, shaped like `state` (axis 0 may be 1); None = zeros.
      starts: where a document starts; None = nowhere.
      valid: False at padding, which leaves the state unchanged and puts out 0; None = all True.

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


def document_ends(
    starts: Bool[Array, "B T"] | None, valid: Bool[Array, "B T"] | None
) -> Bool[Array, "B T"] | None:
    """True where a chunk read from its end enters another document.

    That is at the last token of every document that is followed by another one in the chunk;
    padding may be anywhere. None where no document starts.
    """
    if starts is None:
        return None
    length = starts.shape[1]
    document = jnp.cumsum(starts, axis=1, dtype=jnp.int32)
    later = document if valid is None else jnp.where(valid, document, length + 1)
    later = lax.cummin(later, axis=1, reverse=True)[:, 1:]  # of the next token that is not padding
    later = jnp.pad(later, ((0, 0), (0, 1)), constant_values=length + 1)
    ends = (later > document) & (later <= length)
    return ends if valid is None else ends & valid


def input_product(
    x: Float[Array, "B T D"], kernel: Float[Array, "D G"], bias: Float[Array, " G"]
) -> Float[Array, "B T G"]:
    """x W + b of all time steps at once: product in the dtype of `x`, result in float32."""
    operands = (x, kernel.astype(x.dtype))
    product = jnp.einsum("btd,dg->btg", *operands, preferred_element_type=jnp.float32)
    return product + bias[None, None].astype(jnp.float32)


def state_product(h: Float[Array, "B N"], kernel: Float[Array, "N G"]) -> Float[Array, "B G"]:
    """h U in the dtype of `kernel`, result in float32."""
    return jnp.dot(h.astype(kernel.dtype), kernel, preferred_element_type=jnp.float32)


def time_major(*arrays: Any) -> tuple[Any, ...]:
    """[B, T, ...] to [T, B, ...], and marks [B, T] to [T, B, 1]; None stays None."""
    swap = lambda x: jnp.swapaxes(x if x.ndim > 2 else x[..., None], 0, 1)
    return tuple(None if x is None else swap(x) for x in arrays)


def reset(starts: Any, value: Array, restart: Any = 0.0) -> Array:
    """`restart` where a document starts."""
    return value if starts is None else jnp.where(starts, restart, value)


def unpadded(valid: Any, value: Array) -> Array:
    """0 at padding."""
    return value if valid is None else jnp.where(valid, value, 0.0)


def divide(start: Any, gradient: Any, total: Any) -> tuple[Any, Any]:
    """Splits the gradient by the state that a step started from, where a document may start.

    Returns:
      The gradient by the state of the step before, and `total` plus the gradient by the state
      before documents; None where that state is a constant.
    """
    if start is None:
        return gradient, total
    if total is not None:
        total = jax.tree.map(lambda t, d: t + jnp.where(start, d, 0.0), total, gradient)
    return jax.tree.map(lambda d: reset(start, d), gradient), total
