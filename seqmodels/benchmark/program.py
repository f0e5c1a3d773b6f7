"""A piece of work that one implementation has prepared, and how jax prepares it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from seqmodels.benchmark.arrays import num_bytes
from seqmodels.benchmark.flops import count


@dataclasses.dataclass
class Program:
    """A piece of work.

    Attributes:
      run: does the work on the n-th set of inputs, to its end, and returns its results.
      outputs: arrays of such results that all implementations must agree on.
      facts: figures of it: flops (what the equations need), hardware_flops, bytes (arguments and
        results), trace_ms, lower_ms, compile_ms, temporary_bytes (of XLA), items (tokens or rows of
        a run).
      close: frees what it holds.
    """

    run: Callable[[int], Any]
    outputs: Callable[[Any], Sequence[Any]]
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)
    close: Callable[[], None] = lambda: None


def leaves_of(result: Any) -> list[np.ndarray]:
    """The arrays of a result, in float32 at most."""
    return [np.asarray(x, np.float32) for x in jax.tree.leaves(result)]


def compile_program(
    function: Callable[..., Any],
    inputs: Sequence[tuple[Any, ...]],
    outputs: Callable[[Any], Sequence[Any]] = leaves_of,
    **facts: Any,
) -> Program:
    """Traces, lowers and compiles a function, each timed apart, with its inputs on the device.

    Args:
      inputs: sets of arguments, numpy arrays, which runs take in turn.
      facts: further figures.
    """
    held = jax.device_put(list(inputs))
    compiled, measured = compile_apart(jax.jit(function), *held[0])
    results = jax.tree.leaves(jax.eval_shape(function, *held[0]))
    measured["bytes"] = num_bytes([*jax.tree.leaves(held[0]), *results])

    def run(n: int) -> Any:
        return jax.block_until_ready(compiled(*held[n % len(held)]))

    return Program(run, outputs, {**measured, **facts})


def compile_apart(jitted: Any, *args: Any) -> tuple[Any, dict[str, Any]]:
    """Compiles a jitted function.

    Returns:
      The program, and trace_ms, lower_ms, compile_ms, hardware_flops and temporary_bytes.
    """
    marks = [time.perf_counter()]
    traced = jitted.trace(*args)
    marks.append(time.perf_counter())
    lowered = traced.lower()
    marks.append(time.perf_counter())
    compiled = lowered.compile()
    marks.append(time.perf_counter())
    names = ("trace_ms", "lower_ms", "compile_ms")
    facts: dict[str, Any] = {
        name: 1e3 * (after - before)
        for name, before, after in zip(names, marks, marks[1:], strict=False)
    }
    facts["hardware_flops"] = count(traced.jaxpr)
    if (memory := compiled.memory_analysis()) is not None:
        facts["temporary_bytes"] = int(memory.temp_size_in_bytes)
    return compiled, facts


def with_gradient(function: Callable[..., Any], has_gradient: bool) -> Callable[..., Any]:
    """The function itself, or its gradient: (cotangent, *args) -> gradients by all args.

    A cotangent that is not constant is an argument, because the gradient of a sum takes another,
    faster path through the compiler.
    """
    if not has_gradient:
        return lambda cotangent, *args: function(*args)

    def gradient(cotangent: Any, *args: Any) -> Any:
        _, pull = jax.vjp(function, *args)
        return pull(cotangent)

    return gradient
