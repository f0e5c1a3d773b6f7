"""Long short-term memory and its variants, over a chunk.

`starts`, `valid` and `restart_state` are those of `ops.recurrent.recur`.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from seqmodels.native import library
from seqmodels.native.lstm import lstm_chunk
from seqmodels.ops.recurrent import (
    divide,
    input_product,
    recur,
    reset,
    state_product,
    time_major,
    unpadded,
)

Implementation = Literal["auto", "loop", "native"]
FEWEST_STEPS, FEWEST_TOKENS = 8, 128
"""From these numbers of steps, and of tokens in all rows, on, the kernel in C++ is faster."""


class LSTMState(NamedTuple):
    """Output h and cell c of an LSTM layer, float32; P = N without a projection."""

    hidden: Float[Array, "B P"]
    cell: Float[Array, "B N"]


def lstm(
    x: Float[Array, "B T D"],
    state: LSTMState,
    kernel: Float[Array, "D G"],
    recurrent_kernel: Float[Array, "N G"],
    bias: Float[Array, " G"],
    starts: Bool[Array, "B T"] | None = None,
    valid: Bool[Array, "B T"] | None = None,
    restart_state: LSTMState | None = None,
    *,
    implementation: Implementation = "auto",
) -> tuple[Float[Array, "B T N"], LSTMState]:
    """Long short-term memory with a forget gate (Gers et al., 2000), over a chunk.

        i, f, g, o = split(x W + h U + b, 4)                   # input, forget, cell, output [B, N]
        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h' = sigmoid(o) * tanh(c')

    Gates are in PyTorch's order. The products use the dtype of `x`; gates and state are float32.
    The gradient (reverse mode only) is written by hand: the forward pass keeps the gates, what
    needs no recurrence is computed outside the loop, and the gradients of W and U are one product
    at the end.

    Args:
      x: [B, T, D].
      state: h and c before the chunk.
      kernel: W [D, 4N].
      recurrent_kernel: U [N, 4N].
      bias: b [4N].
      starts, valid: as in `recur`.
      restart_state: state before a document, [B or 1, N] each, with a gradient; None = zeros.
      implementation: 'loop', by jax; 'native', by a kernel in C++ for one CPU device and float32;
        'auto' = 'native' where it can run and is faster.

    Returns:
      y [B, T, N] in the dtype of `x` (h', or 0 at padding), and the state after the chunk.

    Raises:
      ValueError: 'native' with another dtype.
      NativeError: 'native' where it cannot be compiled.
    """
    first = LSTMState(*(s.astype(jnp.float32) for s in state))
    restart = None
    if starts is not None and restart_state is not None:
        restart = LSTMState(*(jnp.broadcast_to(s, first.hidden.shape) for s in restart_state))
    if _is_native(implementation, x, kernel, recurrent_kernel, bias):
        return _native(x, first, kernel, recurrent_kernel, bias, starts, valid, restart)
    size = recurrent_kernel.shape[0]
    # sigmoid(z) = tanh(z / 2) / 2 + 1/2: with the halves in the weights, one tanh serves all gates.
    scale = _gate_scale(size)
    kernels = [(w * scale[None]).astype(x.dtype) for w in (kernel, recurrent_kernel)]
    bias = (bias * scale).astype(jnp.float32)
    ys, last = _run(
        jnp.swapaxes(x, 0, 1), *kernels, bias, first, restart, *time_major(starts, valid)
    )
    return jnp.swapaxes(ys, 0, 1).astype(x.dtype), last


def _is_native(implementation: Implementation, x: Array, *weights: Array) -> bool:
    others = {a.dtype.name for a in (x, *weights)} - {"float32"}
    if implementation == "native" and others:
        raise ValueError(f"implementation='native' is for float32 only, not {min(others)}")
    if implementation != "auto":
        return implementation == "native"
    large = x.shape[1] >= FEWEST_STEPS and x.shape[0] * x.shape[1] >= FEWEST_TOKENS
    return not others and large and library.usable()


def _native(
    x: Array,
    state: LSTMState,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array,
    starts: Any,
    valid: Any,
    restart: LSTMState | None,
) -> tuple[Array, LSTMState]:
    """`lstm` by the kernel in C++, which has no optional arguments."""
    restart = restart or LSTMState(*map(jnp.zeros_like, state))
    marks = jnp.zeros(x.shape[:2], bool) if starts is None else starts
    kept = jnp.ones(x.shape[:2], bool) if valid is None else valid
    hs, last = lstm_chunk(x, kernel, recurrent_kernel, bias, *state, *restart, marks, kept)
    ys = unpadded(None if valid is None else valid[..., None], hs)
    return ys, LSTMState(hs[:, -1], last)


def _gate_scale(size: int) -> Float[Array, " G"]:
    return jnp.repeat(jnp.array([0.5, 0.5, 1.0, 0.5], jnp.float32), size)


def _forward(
    x: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array,
    state: LSTMState,
    restart: Any,
    starts: Any,
    valid: Any,
    save: bool,
) -> tuple[LSTMState, Any]:
    """The loop. Emits h [T, B, N] and, to `save`, c and the tanh of the pre-activations."""
    before = jnp.einsum("tbd,dg->tbg", x, kernel, preferred_element_type=jnp.float32)
    before = before + bias[None, None]
    size = recurrent_kernel.shape[0]
    from_h, from_c = (0.0, 0.0) if restart is None else restart

    def body(state: LSTMState, moment: Any) -> tuple[LSTMState, Any]:
        z, start, is_valid = moment
        h, c = reset(start, state.hidden, from_h), reset(start, state.cell, from_c)
        # The barrier makes tanh a vectorised loop of its own.
        t = lax.optimization_barrier(jnp.tanh(z + state_product(h, recurrent_kernel)))
        gates = [t[:, n * size : (n + 1) * size] for n in range(4)]
        i, f, o = (0.5 * gates[n] + 0.5 for n in (0, 1, 3))
        new_c = f * c + i * gates[2]
        new_h = o * jnp.tanh(new_c)
        if is_valid is not None:
            new_h, new_c = jnp.where(is_valid, new_h, h), jnp.where(is_valid, new_c, c)
        return LSTMState(new_h, new_c), ((new_h, new_c, t) if save else new_h)

    return lax.scan(body, state, (before, starts, valid))


@jax.custom_vjp
def _run(x: Array, *others: Any) -> tuple[Array, LSTMState]:
    """From x [T, B, D], scaled weights W, U and b, and states and marks, to y [T, B, N] and the
    last state."""
    last, hs = _forward(x, *others, save=False)
    return unpadded(others[-1], hs), last


def _run_forward(x: Array, *others: Any) -> tuple[tuple[Array, LSTMState], Any]:
    last, emitted = _forward(x, *others, save=True)
    return (unpadded(others[-1], emitted[0]), last), (x, *others, *emitted)


def _run_backward(saved: Any, cotangents: tuple[Array, LSTMState]) -> tuple[Any, ...]:
    """Backward loop, with s the halves and d.. the gradient of the loss by each value:

    dc += dh o (1 - tanh(c')^2)
    dz  = (dc g, dc c, dc i, dh tanh(c')) (1 - t^2) s
    dc  = dc f,   dh = dz U^T
    dx  = dz W^T, (dW, dU) = sum over time of (x, h)^T dz

    Where a document starts, dh and dc go to the state before documents.
    """
    x, kernel, recurrent_kernel, _, state, restart, starts, valid, hs, cs, ts = saved
    d_ys, d_last = cotangents
    size = recurrent_kernel.shape[0]
    from_h, from_c = (0.0, 0.0) if restart is None else (part[None] for part in restart)
    h_before = reset(starts, jnp.concatenate([state.hidden[None], hs[:-1]]), from_h)
    c_before = reset(starts, jnp.concatenate([state.cell[None], cs[:-1]]), from_c)
    i, f, g, o = jnp.split(ts, 4, axis=-1)
    i, f, o = 0.5 * i + 0.5, 0.5 * f + 0.5, 0.5 * o + 0.5
    tanh_c = jnp.tanh(cs)
    slopes = jnp.concatenate([g, c_before, i, tanh_c], axis=-1) * (1 - ts * ts)
    slopes = unpadded(valid, slopes * _gate_scale(size)[None, None])
    through_h = unpadded(valid, o * (1 - tanh_c * tanh_c))
    through_c = f if valid is None else jnp.where(valid, f, 1.0)
    transposed = recurrent_kernel.T

    def body(state: Any, moment: Any) -> tuple[Any, Any]:
        (d_h, d_c), d_restart = state
        d_y, slope, from_h, from_c, start, is_valid = moment
        passed = d_h
        d_h = d_h + d_y
        d_c = d_c + d_h * from_h
        d_z = jnp.concatenate([d_c, d_c, d_c, d_h], axis=-1) * slope
        d_h = state_product(d_z, transposed)
        if is_valid is not None:
            d_h = jnp.where(is_valid, d_h, passed)
        return divide(start, LSTMState(d_h, d_c * from_c), d_restart), d_z

    moments = (unpadded(valid, d_ys), slopes, through_h, through_c, starts, valid)
    d_restart = jax.tree.map(jnp.zeros_like, restart)
    (d_first, d_restart), d_zs = lax.scan(body, (d_last, d_restart), moments, reverse=True)
    return *_product_gradients(x, kernel, h_before, d_zs), d_first, d_restart, None, None


def _product_gradients(
    x: Array, kernel: Array, h_before: Array, d_zs: Array
) -> tuple[Array, Array, Array, Array]:
    """Gradients of x W + h U + b by x, W, U and b."""
    d_bias = d_zs.sum((0, 1))
    d_zs = d_zs.astype(kernel.dtype)
    d_x = jnp.einsum("tbg,dg->tbd", d_zs, kernel, preferred_element_type=jnp.float32)
    read = jnp.concatenate([x, h_before.astype(x.dtype)], axis=-1)
    d_kernels = jnp.einsum("tbd,tbg->dg", read, d_zs, preferred_element_type=jnp.float32)
    by_w, by_u = jnp.split(d_kernels.astype(kernel.dtype), [x.shape[-1]])
    return d_x.astype(x.dtype), by_w, by_u, d_bias


_run.defvjp(_run_forward, _run_backward)


def projected_lstm(
    x: Float[Array, "B T D"],
    state: LSTMState,
    kernel: Float[Array, "D G"],
    recurrent_kernel: Float[Array, "P G"],
    bias: Float[Array, " G"],
    projection: Float[Array, "N P"],
    starts: Bool[Array, "B T"] | None = None,
    valid: Bool[Array, "B T"] | None = None,
    restart_state: LSTMState | None = None,
) -> tuple[Float[Array, "B T P"], LSTMState]:
    """LSTM whose output is projected before it is fed back, over a chunk.

        i, f, g, o = split(x W + h U + b, 4)                   # each [B, N]
        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)             # [B, N]
        h' = (sigmoid(o) * tanh(c')) V                         # [B, P]

    Source: Sak et al., 2014, arXiv:1402.1128; PyTorch's `proj_size`. V is `projection`. Dtypes and
    the other arguments as in `lstm`; the gradient is JAX's.
    """
    before = input_product(x, kernel, bias)
    recurrent_kernel, projection = (w.astype(x.dtype) for w in (recurrent_kernel, projection))

    def step(state: LSTMState, z: Array) -> tuple[LSTMState, Array]:
        gates = z + state_product(state.hidden, recurrent_kernel)
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        cell = jax.nn.sigmoid(f) * state.cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        hidden = state_product(jax.nn.sigmoid(o) * jnp.tanh(cell), projection)
        return LSTMState(hidden, cell), hidden

    ys, state = recur(step, state, before, restart_state, starts, valid)
    return ys.astype(x.dtype), state


class LayerNormLSTMParams(NamedTuple):
    """Scales and shifts of the three norms of a layer-normalised LSTM."""

    input_scale: Float[Array, " G"]
    recurrent_scale: Float[Array, " G"]
    cell_scale: Float[Array, " N"]
    cell_bias: Float[Array, " N"]


def layer_norm_lstm(
    x: Float[Array, "B T D"],
    state: LSTMState,
    kernel: Float[Array, "D G"],
    recurrent_kernel: Float[Array, "N G"],
    bias: Float[Array, " G"],
    norms: LayerNormLSTMParams,
    starts: Bool[Array, "B T"] | None = None,
    valid: Bool[Array, "B T"] | None = None,
    restart_state: LSTMState | None = None,
) -> tuple[Float[Array, "B T N"], LSTMState]:
    """LSTM with layer normalisation (Ba et al., 2016, arXiv:1607.06450), over a chunk.

        norm(v) = (v - mean(v)) / sqrt(var(v) + 1e-5)          # over all 4N, or all N
        i, f, g, o = split(s_x norm(x W) + s_h norm(h U) + b, 4)
        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h' = sigmoid(o) * tanh(s_c norm(c') + b_c)

    The shifts of the first two norms and b would only add up, so they are one bias here. Dtypes and
    the other arguments as in `lstm`; the gradient is JAX's.
    """
    before = layer_norm(input_product(x, kernel, jnp.zeros_like(bias)))
    before = before * norms.input_scale[None, None] + bias[None, None]
    recurrent_kernel = recurrent_kernel.astype(x.dtype)

    def step(state: LSTMState, z: Array) -> tuple[LSTMState, Array]:
        product = layer_norm(state_product(state.hidden, recurrent_kernel))
        i, f, g, o = jnp.split(z + product * norms.recurrent_scale[None], 4, axis=-1)
        cell = jax.nn.sigmoid(f) * state.cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        inner = layer_norm(cell) * norms.cell_scale[None] + norms.cell_bias[None]
        hidden = jax.nn.sigmoid(o) * jnp.tanh(inner)
        return LSTMState(hidden, cell), hidden

    ys, state = recur(step, state, before, restart_state, starts, valid)
    return ys.astype(x.dtype), state


def layer_norm(v: Array) -> Array:
    """(v - mean(v)) / sqrt(var(v) + 1e-5) over the last axis."""
    centred = v - v.mean(axis=-1, keepdims=True)
    return centred * lax.rsqrt(jnp.square(centred).mean(axis=-1, keepdims=True) + 1e-5)
