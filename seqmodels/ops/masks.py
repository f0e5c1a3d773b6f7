"""Attention masks, each a function of the (position, segment) of query and key."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Array, Bool, Int


class Positions(NamedTuple):
    """Positions of queries or of keys.

    Attributes:
      positions: [B, T] int32, index in the document; [1, T] where all rows are equal.
      segments: [B, T] int32, number of the document, 0 = padding or an empty slot of a cache;
        None where every row is one document, number 1, without padding.
    """

    positions: Int[Array, "R T"]
    segments: Int[Array, "B T"] | None = None


def attention_mask(
    queries: Positions, keys: Positions, *, causal: bool, window: int | None = None
) -> Bool[Array, "R T S"]:
    """True where a query sees a key: same document, not later, less than `window` tokens before.

    Args:
      queries: positions of the queries, [B, T].
      keys: positions of the keys, [B, S].
      causal: whether later keys are hidden.
      window: number of keys seen, the query's own included; None = all.
    """
    distance = distances(queries, keys)
    mask = distance >= 0 if causal else distance == distance
    if window is not None:
        mask = mask & (distance < window)
    if queries.segments is None and keys.segments is None:
        return mask
    query = 1 if queries.segments is None else queries.segments[:, :, None]
    key = 1 if keys.segments is None else keys.segments[:, None, :]
    return mask & (query == key) & (key > 0)


def distances(queries: Positions, keys: Positions) -> Int[Array, "R T S"]:
    """Position of each query minus position of each key."""
    return queries.positions[:, :, None] - keys.positions[:, None, :]
