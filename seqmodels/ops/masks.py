"""Who may look at whom. Every mask is a function of the (position, segment) of query and key."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Array, Bool, Int


class Places(NamedTuple):
    """Where tokens stand, as queries or as keys.

    Attributes:
      positions: [B, T] int32, index in the document; [1, T] where all rows are alike.
      segments: [B, T] int32, number of the document, 0 = padding or an empty slot of a cache;
        None where every row is one document without padding.
    """

    positions: Int[Array, "R T"]
    segments: Int[Array, "B T"] | None = None


def attention_mask(
    queries: Places, keys: Places, *, causal: bool, window: int | None = None
) -> Bool[Array, "R T S"]:
    """True where a query may look at a key: same document, not later, not `window` or more before.

    Args:
      queries: where the queries stand, [B, T].
      keys: where the keys stand, [B, S].
      causal: whether later keys are hidden.
      window: number of keys seen, the query's own included; None = all.
    """
    query, key = queries.positions[:, :, None], keys.positions[:, None, :]
    distance = query - key  # [R, T, S]
    mask = distance >= 0 if causal else distance == distance
    if window is not None:
        mask = mask & (distance < window)
    if queries.segments is not None and keys.segments is not None:
        query, key = queries.segments[:, :, None], keys.segments[:, None, :]
        mask = mask & (query == key) & (key > 0)
    return mask
