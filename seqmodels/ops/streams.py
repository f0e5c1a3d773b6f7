"""Positions along a stream of documents, for models without a cache."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Integer

from seqmodels.ops.positions import advance, continued


class Stream(NamedTuple):
    """Positions of a chunk in its stream; `starts` and `valid` are None without segment ids.

    Attributes:
      positions: [B, T], index of each token in its document.
      starts: [B, T], True at the first token of a document.
      valid: [B, T], False at padding.
      after: the part of the carry that holds the position, {"last_segment", "last_position": [B]}.
    """

    positions: Int[Array, "B T"]
    starts: Bool[Array, "B T"] | None
    valid: Bool[Array, "B T"] | None
    after: dict[str, Any]


def begin(batch_size: int) -> dict[str, Any]:
    """The position in a carry before the first token."""
    return {
        "last_segment": jnp.zeros(batch_size, jnp.int32),
        "last_position": jnp.full(batch_size, -1, jnp.int32),
    }


def follow(
    shape: tuple[int, int], segment_ids: Integer[Array, "B T"] | None, before: dict[str, Any]
) -> Stream:
    """Continues the stream of `before` with a chunk of [B, T]; see `ops.positions.advance`.

    Without ids the document continues, or the first one starts.
    """
    marked = segment_ids is not None
    ids = segment_ids.astype(jnp.int32) if marked else continued(before["last_segment"], shape[1])
    step = advance(ids, before["last_segment"], before["last_position"])
    after = {"last_segment": step.last_segment, "last_position": step.last_position}
    if not marked:
        return Stream(step.positions, None, None, after)
    return Stream(step.positions, step.starts, step.valid, after)
