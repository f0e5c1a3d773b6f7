"""Random arrays that every implementation makes for itself, the same in each process. No jax."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

NUM_SETS = 2
"""Sets of inputs that a program takes in turn, so that no run repeats the previous one."""


def draw(name: str, shape: tuple[int, ...], seed: int, scale: float = 1.0) -> np.ndarray:
    """Normal float32 numbers, a function of name, shape and seed alone."""
    numbers = _generator(name, seed).standard_normal(shape, dtype=np.float32)
    return numbers * np.float32(scale)


def draw_tokens(name: str, shape: tuple[int, ...], seed: int, vocab_size: int) -> np.ndarray:
    """Uniform tokens, int32."""
    return _generator(name, seed).integers(0, vocab_size, shape, dtype=np.int32)


def draw_weight(name: str, shape: tuple[int, ...], seed: int, scale: float = 0.1) -> np.ndarray:
    """A parameter: normal of deviation `scale`, and around 1 for the scale of a norm."""
    drawn = draw(name, shape, seed, scale)
    return drawn + 1 if name.endswith("scale") else drawn


def _generator(name: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def num_bytes(arrays: Any) -> int:
    """Bytes of arrays, or of anything with a shape and a dtype."""
    return sum(int(x.size) * np.dtype(x.dtype).itemsize for x in arrays)
