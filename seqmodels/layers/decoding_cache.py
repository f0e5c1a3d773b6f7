"""The cache that a Transformer decodes with: what a chunk meets, and what it leaves behind.

A carry is {"keys", "values": [B, L, G, S, K], "positions", "segments": [B, S], "length",
"last_segment", "last_position": [B]}. A slot keeps where its token stands beside its key and value.

Growing: the n-th token of a row goes to slot n. Rolling, where a window is not wider than the
cache: it goes to slot n mod S, S = window, over a token that no later one sees. A chunk then looks
at what the cache held before and at its own tokens; of these the newest S are written.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Integer

from seqmodels.layers.attention import Cache, Surroundings
from seqmodels.ops.masks import Places
from seqmodels.ops.positions import Advance, advance, continued
from seqmodels.types import Carry


class Outlook(NamedTuple):
    """What a chunk meets.

    Attributes:
      around: where queries and keys stand, for the layers.
      cache: keys and values before the chunk; None in the parallel form.
      after: all of the carry but keys and values; None in the parallel form.
      lost: [B, T], True where a token has no place: past max_length, or past the capacity; None
        where there is no such.
    """

    around: Surroundings
    cache: Cache | None
    after: Carry
    lost: Bool[Array, "B T"] | None

    def close(
        self, features: Float[Array, "B T D"], cache: Cache | None
    ) -> tuple[Float[Array, "B T D"], Carry]:
        """Features, NaN where a token is lost, and the carry, None in the parallel form."""
        if self.lost is not None:
            features = jnp.where(self.lost[..., None], jnp.nan, features)
        if cache is None:
            return features, None
        return features, {"keys": cache.keys, "values": cache.values, **self.after}


def empty_cache(
    batch_size: int,
    capacity: int,
    *,
    num_layers: int,
    num_kv_heads: int,
    head_dim: int,
    window: int | None = None,
    dtype: Any = jnp.float32,
) -> Carry:
    """A carry for `capacity` tokens a row, or for as many as a window has."""
    capacity = capacity if window is None else min(capacity, window)
    rows = (batch_size,)
    shape = (batch_size, num_layers, num_kv_heads, capacity, head_dim)
    return {
        "keys": jnp.zeros(shape, dtype),
        "values": jnp.zeros(shape, dtype),
        "positions": jnp.zeros((batch_size, capacity), jnp.int32),
        "segments": jnp.zeros((batch_size, capacity), jnp.int32),
        "length": jnp.zeros(rows, jnp.int32),
        "last_segment": jnp.zeros(rows, jnp.int32),
        "last_position": jnp.full(rows, -1, jnp.int32),
    }


def look_around(
    shape: tuple[int, int],
    carry: Carry,
    segment_ids: Integer[Array, "B T"] | None,
    *,
    max_length: int,
    window: int | None = None,
) -> Outlook:
    """Says where the queries and keys of a chunk stand, and what the carry becomes.

    Args:
      shape: (B, T) of the chunk.
      carry: as `empty_cache` or the chunk before left it; None = the parallel form.
      segment_ids: as everywhere; None = the newest document goes on.
      max_length: number of positions.
      window: as in `empty_cache`.

    Raises:
      ValueError: the parallel form, without segments, of more than `max_length` tokens.
    """
    batch_size, length = shape
    if carry is None:
        if segment_ids is None:
            if length > max_length:
                raise ValueError(f"{length} tokens exceed max_length = {max_length}")
            return Outlook(Surroundings(Places(jnp.arange(length)[None])), None, None, None)
        segment_ids = segment_ids.astype(jnp.int32)
        zeros = jnp.zeros(batch_size, jnp.int32)
        step = advance(segment_ids, zeros, zeros - 1)
        lost = step.valid & (step.positions >= max_length)
        return Outlook(Surroundings(Places(step.positions, segment_ids)), None, None, lost)
    if segment_ids is None:
        segment_ids = continued(carry["last_segment"], length)
    segment_ids = segment_ids.astype(jnp.int32)
    step = advance(segment_ids, carry["last_segment"], carry["last_position"])
    capacity = carry["keys"].shape[3]
    rolling = window is not None and window <= capacity
    slots, lost = _slots(step, carry["length"], capacity, rolling)
    lost = lost | (step.valid & (step.positions >= max_length))
    chunk, before = (
        Places(step.positions, segment_ids),
        Places(carry["positions"], carry["segments"]),
    )
    after = _write(before, slots, chunk)
    # A single token may be written first: what it writes over, it does not see.
    keys = _joined(before, chunk) if rolling and length > 1 else after
    return Outlook(
        Surroundings(chunk, keys, slots),
        Cache(carry["keys"], carry["values"]),
        {
            "positions": after.positions,
            "segments": after.segments,
            "length": carry["length"] + jnp.sum(step.valid, axis=1, dtype=jnp.int32),
            "last_segment": step.last_segment,
            "last_position": step.last_position,
        },
        lost,
    )


def _slots(
    step: Advance, length: Int[Array, " B"], capacity: int, rolling: bool
) -> tuple[Int[Array, "B T"], Bool[Array, "B T"]]:
    """Where tokens go, `capacity` = nowhere, and which of them find no place."""
    count = jnp.cumsum(step.valid, axis=1, dtype=jnp.int32)
    slots = length[:, None] + count - 1
    lost = step.valid & (slots >= capacity)
    kept = step.valid
    if rolling:
        # The newest tokens alone, so that no slot is written twice.
        kept = kept & (count[:, -1:] - count < capacity)
        slots, lost = slots % capacity, jnp.zeros_like(lost)
    return jnp.where(kept, slots, capacity), lost


def _write(before: Places, slots: Array, chunk: Places) -> Places:
    rows = jnp.arange(slots.shape[0])[:, None]
    put = lambda old, new: old.at[rows, slots].set(new, mode="drop")
    return Places(put(before.positions, chunk.positions), put(before.segments, chunk.segments))


def _joined(before: Places, chunk: Places) -> Places:
    return jax.tree.map(lambda *pair: jnp.concatenate(pair, axis=1), before, chunk)
