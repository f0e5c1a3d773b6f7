"""Recurrences whose state is their output: Elman's network and the gated recurrent unit.

The gradients of `rnn` and `gru` (reverse mode only) are written by hand. h' is a function of
pre-activations that are linear in h, so the gradient dh of the loss by h' determines all others
through coefficients that need no recurrence:

    d_pre_k = dh * slope_k                                     # by h U_k, for each gate k, [B, N]
    dh      = dh * keep + sum_k d_pre_k U_k^T                  # by h

The loop therefore has one product for each gate and a few multiply-adds, and the gradient of U is
one product for each gate at the end.

The gates are arrays of their own, not parts of one: a part begins in the middle of a row, and XLA
then no longer vectorises the loop over the elements.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from seqmodels.ops.recurrent import (
    divide,
    input_product,
    recur,
    reset,
    state_product,
    time_major,
    unpadded,
)

ByGate = tuple[Array, ...]


def rnn(
    x: Float[Array, "B T D"],
    state: Float[Array, "B N"],
    kernel: Float[Array, "D N"],
    recurrent_kernel: Float[Array, "N N"],
    bias: Float[Array, " N"],
    starts: Bool[Array, "B T"] | None = None,
    valid: Bool[Array, "B T"] | None = None,
    restart_state: Float[Array, "R N"] | None = None,
    *,
    relu: bool = False,
) -> tuple[Float[Array, "B T N"], Float[Array, "B N"]]:
    """Simple recurrent network (Elman, 1990), over a chunk.

        h' = tanh(x W + h U + b)                               # or max(0, .) with `relu`

    The products use the dtype of `x`; the state is float32.

    Args:
      x: [B, T, D].
      state: h before the chunk.
      kernel: W [D, N].
      recurrent_kernel: U [N, N].
      bias: b [N].
      starts, valid, restart_state: as in `ops.recurrent.recur`.
      relu: the nonlinearity.

    Returns:
      y [B, T, N] in the dtype of `x` (h', or 0 at padding), and the state after the chunk.
    """
    x, starts, valid = time_major(x, starts, valid)
    before = input_product(x, kernel, bias)
    state, restart = _first(state, restart_state, starts)
    recurrent_kernel = recurrent_kernel.astype(x.dtype)
    ys, last = _run_rnn(relu, before, recurrent_kernel, state, restart, starts, valid)
    return jnp.swapaxes(ys, 0, 1).astype(x.dtype), last


def gru(
    x: Float[Array, "B T D"],
    state: Float[Array, "B N"],
    kernel: Float[Array, "D G"],
    recurrent_kernel: Float[Array, "N G"],
    bias: Float[Array, " G"],
    recurrent_bias: Float[Array, " N"],
    starts: Bool[Array, "B T"] | None = None,
    valid: Bool[Array, "B T"] | None = None,
    restart_state: Float[Array, "R N"] | None = None,
) -> tuple[Float[Array, "B T N"], Float[Array, "B N"]]:
    """Gated recurrent unit whose reset gate acts after the product (cuDNN's form), over a chunk.

        r  = sigmoid(x W_r + h U_r + b_r)                      # reset gate   [B, N]
        z  = sigmoid(x W_z + h U_z + b_z)                      # update gate  [B, N]
        n  = tanh(x W_n + b_n + r * (h U_n + c_n))
        h' = (1 - z) * n + z * h

    Kernels and b hold r, z, n in this order, PyTorch's; c_n is a separate bias, because r acts on
    it. The products use the dtype of `x`; gates and state are float32.

    Args:
      x: [B, T, D].
      state: h before the chunk.
      kernel: W [D, 3N].
      recurrent_kernel: U [N, 3N].
      bias: b [3N].
      recurrent_bias: c_n [N].
      starts, valid, restart_state: as in `ops.recurrent.recur`.

    Returns:
      y [B, T, N] in the dtype of `x` (h', or 0 at padding), and the state after the chunk.
    """
    x, starts, valid = time_major(x, starts, valid)
    pairs = zip(_scaled(kernel), _scaled(bias), strict=True)
    befores = tuple(input_product(x, w, b) for w, b in pairs)
    state, restart = _first(state, restart_state, starts)
    kernels = tuple(w.astype(x.dtype) for w in _scaled(recurrent_kernel))
    ys, last = _run_gru(befores, kernels, recurrent_bias, state, restart, starts, valid)
    return jnp.swapaxes(ys, 0, 1).astype(x.dtype), last


def _scaled(weights: Array) -> ByGate:
    """The weights of r, z and n, half of them for r and z.

    sigmoid(z) = tanh(z / 2) / 2 + 1/2, so with the halves in the weights each gate is a tanh.
    """
    parts = jnp.split(weights, 3, axis=-1)
    return tuple(part * scale for part, scale in zip(parts, (0.5, 0.5, 1.0), strict=True))


def gru_reset_before(
    x: Float[Array, "B T D"],
    state: Float[Array, "B N"],
    kernel: Float[Array, "D G"],
    recurrent_kernel: Float[Array, "N G"],
    bias: Float[Array, " G"],
    starts: Bool[Array, "B T"] | None = None,
    valid: Bool[Array, "B T"] | None = None,
    restart_state: Float[Array, "R N"] | None = None,
) -> tuple[Float[Array, "B T N"], Float[Array, "B N"]]:
    """Gated recurrent unit as published (Cho et al., 2014, arXiv:1406.1078), over a chunk.

        r  = sigmoid(x W_r + h U_r + b_r)
        z  = sigmoid(x W_z + h U_z + b_z)
        n  = tanh(x W_n + b_n + (r * h) U_n)
        h' = (1 - z) * n + z * h

    The gradient is JAX's; everything else is as in `gru`.
    """
    kernels = jnp.split(kernel, 3, axis=1)
    by_r, by_z, by_n = jnp.split(recurrent_kernel.astype(x.dtype), 3, axis=1)

    def step(h: Array, moment: ByGate) -> tuple[Array, Array]:
        x_r, x_z, x_n = moment
        r = jax.nn.sigmoid(x_r + state_product(h, by_r))
        z = jax.nn.sigmoid(x_z + state_product(h, by_z))
        n = jnp.tanh(x_n + state_product(r * h, by_n))
        h = (1 - z) * n + z * h
        return h, h

    before = tuple(input_product(x, w, b) for w, b in zip(kernels, jnp.split(bias, 3), strict=True))
    ys, state = recur(step, state.astype(jnp.float32), before, restart_state, starts, valid)
    return ys.astype(x.dtype), state


def _first(state: Array, restart_state: Any, starts: Any) -> tuple[Array, Any]:
    """The state before the chunk, and the state before documents where that is a variable."""
    state = state.astype(jnp.float32)
    if starts is None or restart_state is None:
        return state, None
    return state, jnp.broadcast_to(restart_state.astype(jnp.float32), state.shape)


def _states_before(state: Array, hs: Array, restart: Any, starts: Any) -> Array:
    """The state that each step started from, [T, B, N]."""
    return reset(
        starts, jnp.concatenate([state[None], hs[:-1]]), 0.0 if restart is None else restart[None]
    )


def _backward(
    cotangents: tuple[Array, Array],
    slopes: ByGate,
    keep: Array | None,
    kernels: ByGate,
    restart: Any,
    starts: Any,
    valid: Any,
) -> tuple[Array, Array, Any]:
    """The loop of the module docstring; `slopes` are 0 at padding.

    Returns:
      dh of every step [T, B, N], the gradient by the first state, and that by `restart`.
    """
    d_ys, d_last = cotangents
    transposed = [kernel.T for kernel in kernels]
    if valid is not None:
        keep = jnp.where(valid, 0.0 if keep is None else keep, 1.0)

    def body(state: Any, moment: Any) -> tuple[Any, Any]:
        d_h, d_restart = state
        d_y, slopes, kept, start = moment
        d_h = d_h + d_y
        parts = [state_product(d_h * s, w) for s, w in zip(slopes, transposed, strict=True)]
        parts += [] if kept is None else [d_h * kept]
        before = functools.reduce(jnp.add, parts)
        return divide(start, before, d_restart), d_h

    moments = (unpadded(valid, d_ys), slopes, keep, starts)
    first = (d_last, jax.tree.map(jnp.zeros_like, restart))
    (d_first, d_restart), d_hs = lax.scan(body, first, moments, reverse=True)
    return d_hs, d_first, d_restart


def _kernel_gradient(h_before: Array, d_pre: Array, kernel: Array) -> Array:
    operands = (h_before.astype(kernel.dtype), d_pre.astype(kernel.dtype))
    gradient = jnp.einsum("tbn,tbg->ng", *operands, preferred_element_type=jnp.float32)
    return gradient.astype(kernel.dtype)


def _rnn_loop(
    relu: bool, before: Array, kernel: Array, state: Array, restart: Any, starts: Any, valid: Any
) -> tuple[Array, Array]:
    """The last state, and h [T, B, N] of every step."""
    from_h = 0.0 if restart is None else restart

    def body(state: Array, moment: Any) -> tuple[Array, Array]:
        z, start, is_valid = moment
        h = reset(start, state, from_h)
        z = z + state_product(h, kernel)
        new = jnp.maximum(z, 0.0) if relu else jnp.tanh(z)
        new = new if is_valid is None else jnp.where(is_valid, new, h)
        return new, new

    return lax.scan(body, state, (before, starts, valid))


def _run_rnn_plain(
    relu: bool, before: Array, kernel: Array, state: Array, restart: Any, starts: Any, valid: Any
) -> tuple[Array, Array]:
    """From x W + b [T, B, N] to y [T, B, N] and the last state."""
    last, hs = _rnn_loop(relu, before, kernel, state, restart, starts, valid)
    return unpadded(valid, hs), last


_run_rnn = jax.custom_vjp(_run_rnn_plain, nondiff_argnums=(0,))


def _run_rnn_forward(
    relu: bool, before: Array, kernel: Array, state: Array, restart: Any, starts: Any, valid: Any
) -> tuple[tuple[Array, Array], Any]:
    last, hs = _rnn_loop(relu, before, kernel, state, restart, starts, valid)
    return (unpadded(valid, hs), last), (kernel, state, restart, starts, valid, hs)


def _run_rnn_backward(relu: bool, saved: Any, cotangents: tuple[Array, Array]) -> tuple[Any, ...]:
    kernel, state, restart, starts, valid, hs = saved
    slopes = unpadded(valid, (hs > 0).astype(hs.dtype) if relu else 1 - hs * hs)
    d_hs, *d_states = _backward(cotangents, (slopes,), None, (kernel,), restart, starts, valid)
    d_before = d_hs * slopes
    d_kernel = _kernel_gradient(_states_before(state, hs, restart, starts), d_before, kernel)
    return d_before, d_kernel, *d_states, None, None


_run_rnn.defvjp(_run_rnn_forward, _run_rnn_backward)


def _gru_loop(
    befores: ByGate,
    kernels: ByGate,
    bias: Array,
    state: Array,
    restart: Any,
    starts: Any,
    valid: Any,
    save: bool,
) -> tuple[Array, Any]:
    """The last state, and h [T, B, N] of every step; to `save`, also the tanh of the pre-activation
    of r and that of z, n, and the h U_n + c_n that r acts on."""
    from_h = 0.0 if restart is None else restart

    def body(state: Array, moment: Any) -> tuple[Array, Any]:
        (z_r, z_z, z_n), start, is_valid = moment
        h = reset(start, state, from_h)
        by_r, by_z, by_n = (state_product(h, kernel) for kernel in kernels)
        reset_t, update_t = jnp.tanh(z_r + by_r), jnp.tanh(z_z + by_z)
        r, update = 0.5 * reset_t + 0.5, 0.5 * update_t + 0.5
        inner = by_n + bias[None]
        n = jnp.tanh(z_n + r * inner)
        new = n + update * (h - n)
        new = new if is_valid is None else jnp.where(is_valid, new, h)
        return new, ((new, reset_t, update_t, n, inner) if save else new)

    return lax.scan(body, state, (befores, starts, valid))


@jax.custom_vjp
def _run_gru(
    befores: ByGate,
    kernels: ByGate,
    bias: Array,
    state: Array,
    restart: Any,
    starts: Any,
    valid: Any,
) -> tuple[Array, Array]:
    """From scaled x W + b, [T, B, N] for each gate, to y [T, B, N] and the last state."""
    last, hs = _gru_loop(befores, kernels, bias, state, restart, starts, valid, save=False)
    return unpadded(valid, hs), last


def _run_gru_forward(
    befores: ByGate,
    kernels: ByGate,
    bias: Array,
    state: Array,
    restart: Any,
    starts: Any,
    valid: Any,
) -> tuple[tuple[Array, Array], Any]:
    last, emitted = _gru_loop(befores, kernels, bias, state, restart, starts, valid, save=True)
    return (unpadded(valid, emitted[0]), last), (kernels, state, restart, starts, valid, *emitted)


def _run_gru_backward(saved: Any, cotangents: tuple[Array, Array]) -> tuple[Any, ...]:
    """Slopes of dh, with t the tanh of the halved pre-activations of r and z:

    by n's pre-activation   s_n = (1 - z) (1 - n^2)
    by r's                  s_n (h U_n + c_n) (1 - t_r^2) / 2
    by z's                  (h - n) (1 - t_z^2) / 2
    by h U_n                s_n r
    """
    kernels, state, restart, starts, valid, hs, reset_t, update_t, n, inner = saved
    h_before = _states_before(state, hs, restart, starts)
    r, z = 0.5 * reset_t + 0.5, 0.5 * update_t + 0.5
    by_new = unpadded(valid, (1 - z) * (1 - n * n))
    by_reset = by_new * inner * (0.5 * (1 - reset_t * reset_t))
    by_update = unpadded(valid, (h_before - n) * (0.5 * (1 - update_t * update_t)))
    slopes = (by_reset, by_update, by_new * r)
    d_hs, *d_states = _backward(cotangents, slopes, z, kernels, restart, starts, valid)
    d_products = [d_hs * slope for slope in slopes]
    d_befores = (*d_products[:2], d_hs * by_new)
    d_kernels = tuple(
        _kernel_gradient(h_before, d, kernel) for d, kernel in zip(d_products, kernels, strict=True)
    )
    return d_befores, d_kernels, d_products[2].sum((0, 1)), *d_states, None, None


_run_gru.defvjp(_run_gru_forward, _run_gru_backward)
