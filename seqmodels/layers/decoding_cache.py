"""The key/value cache of a Transformer, at the start and at the end of a chunk.

A carry is {"keys", "values": [B, L, G, S, K], "finite": [B, L, S], "positions", "segments": [B, S],
"length", "last_segment", "last_position": [B]}. A slot stores the position of its token along with
its key and value, and whether those were finite; see `ops.attention.contain`.

Growing: the n-th token of a row goes to slot n. Rolling, where a window is not wider than the
cache: it goes to slot n mod S, S = window, and replaces a token that no later one sees. A chunk
then attends to the old contents of the cache and to its own tokens, of which the newest S are
written.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Integer

from seqmodels.layers.attention import AttentionContext
from seqmodels.ops.attention import Contained
from seqmodels.ops.masks import Positions
from seqmodels.ops.positions import Advance, advance, continued
from seqmodels.types import Carry


class Chunk(NamedTuple):
    """A chunk at its start, before the layers.

    Attributes:
      context: positions of queries and keys, for the layers.
      cache: keys and values before the chunk; None in the parallel form.
      after: the carry after the chunk without the cache; None in the parallel form.
      lost: [B, T], True where a token has no slot: past max_length, or past the capacity; None
        where that cannot happen.
    """

    context: AttentionContext
    cache: Contained | None
    after: Carry
    lost: Bool[Array, "B T"] | None


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
    """A carry for `capacity` tokens per row, or for the tokens of a window if those are fewer."""
    capacity = capacity if window is None else min(capacity, window)
    rows = (batch_size,)
    shape = (batch_size, num_layers, num_kv_heads, capacity, head_dim)
    return {
        "keys": jnp.zeros(shape, dtype),
        "values": jnp.zeros(shape, dtype),
        "finite": jnp.ones((batch_size, num_layers, capacity), bool),
        "positions": jnp.zeros((batch_size, capacity), jnp.int32),
        "segments": jnp.zeros((batch_size, capacity), jnp.int32),
        "length": jnp.zeros(rows, jnp.int32),
        "last_segment": jnp.zeros(rows, jnp.int32),
        "last_position": jnp.full(rows, -1, jnp.int32),
    }


def start_chunk(
    shape: tuple[int, int],
    carry: Carry,
    segment_ids: Integer[Array, "B T"] | None,
    *,
    max_length: int,
    window: int | None = None,
) -> Chunk:
    """Works out the positions of queries and keys of a chunk, and the carry after it.

    Args:
      shape: (B, T) of the chunk.
      carry: of `empty_cache` or of the chunk before; None = the parallel form.
      segment_ids: 0 = padding; None = the newest document continues.
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
            return Chunk(AttentionContext(Positions(jnp.arange(length)[None])), None, None, None)
        segment_ids = segment_ids.astype(jnp.int32)
        zeros = jnp.zeros(batch_size, jnp.int32)
        step = advance(segment_ids, zeros, zeros - 1)
        lost = step.valid & (step.positions >= max_length)
        return Chunk(AttentionContext(Positions(step.positions, segment_ids)), None, None, lost)
    if segment_ids is None:
        segment_ids = continued(carry["last_segment"], length)
    segment_ids = segment_ids.astype(jnp.int32)
    step = advance(segment_ids, carry["last_segment"], carry["last_position"])
    capacity = carry["keys"].shape[3]
    rolling = window is not None and window <= capacity
    slots, lost = _slots(step, carry["length"], capacity, rolling)
    lost = lost | (step.valid & (step.positions >= max_length))
    new = Positions(step.positions, segment_ids)
    before = Positions(carry["positions"], carry["segments"])
    after = _write(before, slots, new)
    # A single token may be written first, because it does not see the token that it replaces.
    keys = _joined(before, new) if rolling and length > 1 else after
    return Chunk(
        AttentionContext(new, keys, slots),
        Contained(carry["keys"], carry["values"], carry["finite"]),
        {
            "positions": after.positions,
            "segments": after.segments,
            "length": carry["length"] + jnp.sum(step.valid, axis=1, dtype=jnp.int32),
            "last_segment": step.last_segment,
            "last_position": step.last_position,
        },
        lost,
    )


def finish_chunk(
    chunk: Chunk, features: Float[Array, "B T D"], cache: Contained | None
) -> tuple[Float[Array, "B T D"], Carry]:
    """Features, NaN where a token is lost, and the carry, None in the parallel form."""
    if chunk.lost is not None:
        features = jnp.where(chunk.lost[..., None], jnp.nan, features)
    if cache is None:
        return features, None
    return features, {**cache._asdict(), **chunk.after}


def _slots(
    step: Advance, length: Int[Array, " B"], capacity: int, rolling: bool
) -> tuple[Int[Array, "B T"], Bool[Array, "B T"]]:
    """The slot of each token, `capacity` = none, and which tokens are lost for lack of a slot."""
    count = jnp.cumsum(step.valid, axis=1, dtype=jnp.int32)
    slots = length[:, None] + count - 1
    lost = step.valid & (slots >= capacity)
    kept = step.valid
    if rolling:
        # Only the newest tokens, so that no slot is written twice.
        kept = kept & (count[:, -1:] - count < capacity)
        slots, lost = slots % capacity, jnp.zeros_like(lost)
    return jnp.where(kept, slots, capacity), lost


def _write(before: Positions, slots: Array, new: Positions) -> Positions:
    rows = jnp.arange(slots.shape[0])[:, None]
    put = lambda old, new: old.at[rows, slots].set(new, mode="drop")
    return Positions(put(before.positions, new.positions), put(before.segments, new.segments))


def _joined(before: Positions, new: Positions) -> Positions:
    return jax.tree.map(lambda *pair: jnp.concatenate(pair, axis=1), before, new)
