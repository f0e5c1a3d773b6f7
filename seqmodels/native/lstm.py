"""An LSTM layer by a kernel in C++, for one CPU. The equations are those of `ops.lstm.lstm`.

XLA runs the products of an LSTM at two thirds of the speed that a CPU has, one for each time step,
with loops over the gates between them. The kernel packs W and U once; a product and the gates that
it makes stay in the cache, and rows of the batch are dealt to the threads, which need not wait for
one another between time steps.
"""

from __future__ import annotations

from typing import Any

import jax
from jaxtyping import Array, Bool, Float

from seqmodels.native import library

_LANES = 16  # `kAlignment` of lstm.cc


def lstm_chunk(
    x: Float[Array, "B T D"],
    kernel: Float[Array, "D G"],
    recurrent_kernel: Float[Array, "N G"],
    bias: Float[Array, " G"],
    hidden: Float[Array, "B N"],
    cell: Float[Array, "B N"],
    restart_hidden: Float[Array, "B N"],
    restart_cell: Float[Array, "B N"],
    starts: Bool[Array, "B T"],
    valid: Bool[Array, "B T"],
) -> tuple[Float[Array, "B T N"], Float[Array, "B N"]]:
    """h of every step, at padding that of the step before, and the last c; all float32.

    Raises:
      NativeError: the kernel cannot be compiled here.
    """
    library.load()
    return _run(
        *(x, kernel, recurrent_kernel, bias, hidden, cell, restart_hidden, restart_cell),
        *(starts, valid),
    )


def _forward(args: tuple[Array, ...], save: bool) -> list[Array]:
    """h [B, T, N] and the last c; to `save`, also c and the gates i, f, g, o, each padded."""
    batch, length, _ = args[0].shape
    size = args[2].shape[0]
    padded = -(-size // _LANES) * _LANES
    kept = [(batch, length, padded), (batch, length, 4 * padded)] if save else [(0,), (0,)]
    return library.call("lstm_forward", [(batch, length, size), (batch, size), *kept], *args)


@jax.custom_vjp
def _run(*args: Array) -> tuple[Array, Array]:
    hs, last, *_ = _forward(args, save=False)
    return hs, last


def _run_forward(*args: Array) -> tuple[tuple[Array, Array], Any]:
    hs, last, *kept = _forward(args, save=True)
    return (hs, last), (args, hs, *kept)


def _run_backward(saved: Any, cotangents: tuple[Array, Array]) -> tuple[Any, ...]:
    (x, kernel, recurrent_kernel, bias, *others), hs, cells, gates = saved
    size = (*hs.shape[:2], gates.shape[-1])
    shapes = [a.shape for a in (x, kernel, recurrent_kernel, bias, *others[:4])]
    inputs = (x, kernel, recurrent_kernel, *others, hs, cells, gates, *cotangents)
    *gradients, _ = library.call("lstm_backward", [*shapes, size], *inputs)
    return *gradients, None, None


_run.defvjp(_run_forward, _run_backward)


def operations(target: str, shapes: list[tuple[int, ...]]) -> int:
    """Floating-point operations of the products of a call, from the shapes of its arguments."""
    (batch, length, inputs), _, (size, gates) = shapes[:3]
    once = 2 * batch * length * (inputs + size) * gates
    return once * {"lstm_forward": 1, "lstm_backward": 2}[target]
