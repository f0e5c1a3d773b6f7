"""Random numbers that are a function of (seed, purpose, index) and of nothing else.

They come from the raw Philox stream (Salmon et al., 2011), which numpy never changes, and not from
`Generator`'s methods, which it may: the same run on another numpy draws the same batches.
"""

from __future__ import annotations

import hashlib
import struct

import numpy as np


def draw(seed: int, purpose: str, index: int, size: int) -> np.ndarray:
    """Returns uint64 [size], the stream of (seed, purpose, index).

    Args:
      seed: of the run.
      purpose: a name for each use, so that no two uses share numbers.
      index: epoch or step.
      size: how many.
    """
    digest = hashlib.blake2b(purpose.encode() + struct.pack("<qq", seed, index), digest_size=16)
    key = np.frombuffer(digest.digest(), np.uint64)
    return np.random.Philox(key=key).random_raw(size)


def permutation(seed: int, purpose: str, index: int, size: int) -> np.ndarray:
    """Returns a permutation of 0..size-1, int64 [size]."""
    return np.argsort(draw(seed, purpose, index, size), kind="stable")


def deal(order: np.ndarray, batch_size: int) -> np.ndarray:
    """Deals items out to the fewest batches that hold them, as evenly as they go.

    Args:
      order: items [n], in the order of use.
      batch_size: B.

    Returns:
      [ceil(n / B), B] int64, the items in order, -1 for an empty row. Batches differ by at most one
      item, so that no step runs on a near-empty batch.
    """
    num_batches = -(-len(order) // batch_size)
    counts = len(order) // num_batches + (np.arange(num_batches) < len(order) % num_batches)
    plan = np.full((num_batches, batch_size), -1, np.int64)
    plan[np.arange(batch_size) < counts[:, None]] = order
    return plan
