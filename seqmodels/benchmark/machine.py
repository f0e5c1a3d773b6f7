"""The machine as the benchmark finds it: what it is, its measured peaks, the cost of the loop."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from seqmodels.allocator import keep_freed_memory
from seqmodels.benchmark.arrays import draw
from seqmodels.benchmark.program import Program
from seqmodels.native import library

_VERSIONS = ("jax", "jaxlib", "flax", "optax", "numpy", "torch")
_FLAGS = (
    *("XLA_", "JAX_", "LD_PRELOAD", "MALLOC_", "OMP_", "GOMP_", "KMP_", "MKL_"),
    *("NVIDIA_TF32_OVERRIDE", "CUDA_VISIBLE_DEVICES", library.SWITCH),
)
"""Beginnings of the environment variables that change speed."""
_RUNS, _ENOUGH = 7, 0.02
LARGEST = 8192
"""Rows of the largest square product of a peak."""
TRIAD = 1 << 24
"""Elements of each array of the bandwidth: 64 MB, more than any cache holds."""


def machine(params: dict[str, Any], seed: int) -> Program:
    """Describes and measures the machine.

    Args:
      params: {"quick": with smaller products and arrays}.
    """
    device = jax.devices()[0]
    smaller = 4 if params["quick"] else 1
    peaks = {
        name: matrix_peak(dtype, LARGEST // smaller, seed)
        for name, dtype in (("float32", jnp.float32), ("bfloat16", jnp.bfloat16))
    }
    facts = {
        "device": {
            "platform": device.platform,
            "kind": device.device_kind,
            "processor": processor(),
            "count": jax.device_count(),
        },
        "versions": versions(),
        "cores": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "environment": {
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith(_FLAGS) and name != "JAX_COMPILATION_CACHE_DIR"
        },
        "allocator": allocator(),
        "native_kernels": library.usable(),
        "matrix_flops_per_second": peaks,
        "bytes_per_second": bandwidth(TRIAD // smaller, seed),
        "loop_microseconds": 1e6 * statistics.median(seconds_of_runs(lambda: None)),
        "dispatch_microseconds": 1e6 * dispatch_seconds(seed),
    }
    return Program(lambda _: None, lambda _: [], facts)


def processor() -> str:
    """The processor's name, as far as the system knows it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").split("\n"):
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in _VERSIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def allocator() -> str:
    """The library that allocates memory of a worker: jemalloc, tcmalloc, or the system's, and
    whether it keeps what is freed."""
    maps = Path("/proc/self/maps")
    mapped = maps.read_text(encoding="utf-8") if maps.exists() else ""
    found = [name for name in ("jemalloc", "tcmalloc", "mimalloc") if name in mapped]
    kept = ", keeps freed memory" if keep_freed_memory() else ""
    return found[0] if found else f"of {sys.platform} (libc{kept})"


def matrix_peak(dtype: Any, largest: int, seed: int) -> float:
    """Operations per second of square products, of the size that takes 20 ms or the largest."""
    size, best = min(512, largest), 0.0
    product = jax.jit(lambda a, b: a @ b)
    while True:
        a = jnp.asarray(draw("a", (size, size), seed), dtype)
        b = jnp.asarray(draw("b", (size, size), seed), dtype)
        seconds = min(seconds_of_runs(lambda a=a, b=b: jax.block_until_ready(product(a, b))))
        best = max(best, 2 * size**3 / seconds)
        if seconds > _ENOUGH or size >= largest:
            return best
        size *= 2


def bandwidth(elements: int, seed: int) -> float:
    """Bytes per second of a + 2 b over arrays that exceed the caches; two are read, one written."""
    a = jax.device_put(draw("a", (elements,), seed))
    b = jax.device_put(draw("b", (elements,), seed))
    triad = jax.jit(lambda a, b, old: a + 2 * b, donate_argnums=2)
    held = [jnp.zeros_like(a)]  # written again, so that no new page is touched

    def run() -> None:
        held[0] = jax.block_until_ready(triad(a, b, held[0]))

    return 3 * 4 * elements / min(seconds_of_runs(run))


def dispatch_seconds(seed: int) -> float:
    """Time of a call of the smallest program."""
    x = jax.device_put(draw("x", (1,), seed))
    add = jax.jit(lambda x: x + 1)
    return statistics.median(seconds_of_runs(lambda: jax.block_until_ready(add(x))))


def seconds_of_runs(run: Callable[[], Any]) -> list[float]:
    """Times of runs after a warm one; of a peak the fastest counts."""
    run()
    taken = []
    for _ in range(_RUNS):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return taken
