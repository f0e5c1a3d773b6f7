"""Rows of different lengths as flat arrays, and as padded ones."""

from __future__ import annotations

import numpy as np

_LEAST_WIDTH = 8


def power_of_two(length: int, limit: int | None = None) -> int:
    """A width for `length` steps out of few different ones, at most `limit`."""
    width = max(_LEAST_WIDTH, 1 << (length - 1).bit_length())
    return width if limit is None else min(width, limit)


def scatter_rows(
    flat: np.ndarray, offsets: np.ndarray, lengths: np.ndarray, chosen: np.ndarray, width: int
) -> np.ndarray:
    """Rows of a ragged array side by side, [b, width, ...], zero where nothing is.

    Args:
      flat: all steps of all rows, [N, ...].
      offsets: row i begins at flat[offsets[i]].
      lengths: steps taken of each row, at most `width`.
      chosen: row numbers [b]; PADDING makes an empty row.
    """
    rows = np.zeros((len(chosen), width, *flat.shape[1:]), flat.dtype)
    real = np.flatnonzero(chosen >= 0)
    at = chosen[real]
    place = ranges(real * width, lengths[at])
    rows.reshape(-1, *flat.shape[1:])[place] = flat[ranges(offsets[at], lengths[at])]
    return rows


def segments_of(lengths: np.ndarray, chosen: np.ndarray, width: int) -> np.ndarray:
    """Segment ids [b, width] int32: 1 at the steps of a row, 0 at padding."""
    steps = np.where(chosen >= 0, lengths[np.maximum(chosen, 0)], 0)
    return (np.arange(width)[None] < steps[:, None]).astype(np.int32)


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns starts[i], starts[i] + 1, .., starts[i] + lengths[i] - 1 for all i, joined."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)
