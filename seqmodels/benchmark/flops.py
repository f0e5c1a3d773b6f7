"""Floating-point operations of a program, counted in its jaxpr.

XLA's own count takes the body of a loop once and varies with the backend. Here the body of a scan
counts `length` times, and of a `cond` the branch with most operations. Only products count (of
matrices, convolutions, and those in our kernels): they are what the peak of a machine is measured
with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax

from seqmodels.native import attention, library, lstm


def hardware_flops(function: Callable[..., Any], *args: Any) -> int:
    """Operations that the program performs, recomputed ones included.

    Args:
      args: arrays, or shapes and dtypes of them.
    """
    return count(jax.make_jaxpr(function)(*args).jaxpr)


def count(jaxpr: Any) -> int:
    """Operations of the products of a jaxpr."""
    return sum(_count_one(equation) for equation in jaxpr.eqns)


def _count_one(equation: Any) -> int:
    name = equation.primitive.name
    if name == "dot_general":
        return _product(equation)
    if name == "conv_general_dilated":
        return _convolution(equation)
    if name == "ffi_call":
        return _kernel(equation)
    inner = [count(jaxpr) for jaxpr in _inner(equation)]
    if name == "cond":
        return max(inner, default=0)
    return sum(inner) * (equation.params["length"] if name == "scan" else 1)


def _inner(equation: Any) -> Iterator[Any]:
    """The jaxprs of an equation; of functions with a gradient of their own the one that runs."""
    for value in equation.params.values():
        for one in value if isinstance(value, tuple | list) else (value,):
            jaxpr = getattr(one, "jaxpr", one)  # a closed one, or itself
            if hasattr(jaxpr, "eqns"):
                yield jaxpr


def _kernel(equation: Any) -> int:
    """Of a kernel of ours; 0 of another one."""
    target = library.target_of(equation.params["target_name"])
    if target is None:
        return 0
    room = lstm if target.startswith("lstm") else attention
    return room.operations(target, [variable.aval.shape for variable in equation.invars])


def _product(equation: Any) -> int:
    """2 B M N K."""
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = equation.invars[0].aval.shape
    return 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(left[n] for n in contracted)


def _convolution(equation: Any) -> int:
    """2 per output and tap."""
    kernel = equation.invars[1].aval.shape
    outputs = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
    return 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(kernel) // outputs


def model_flops(
    forward: Callable[[int], int], length: int, *, causal: bool, has_gradient: bool
) -> int:
    """Operations that the equations need: nothing recomputed, causal attention counted as half.

    A forward pass over T steps costs a T + b T^2, the latter for attention. a and b follow from the
    counts of two short lengths, at which attention is not cut into blocks. A gradient costs twice
    the forward pass in addition.

    Args:
      forward: T -> operations of the forward pass, with all of the T x T scores.
      length: T.
      causal: whether half of the scores are needed only.
    """
    first, second = forward(8), forward(16)
    quadratic = (second - 2 * first) / 128  # 16^2 - 2 * 8^2
    linear = (first - 64 * quadratic) / 8
    needed = linear * length + quadratic * length**2 * (0.5 if causal else 1.0)
    return round(needed * (3 if has_gradient else 1))
