"""Scaled dot-product attention."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from seqmodels.ops.masks import Places, attention_mask

BLOCK = 128
"""Queries of a block at least; one block keeps its scores in the caches of a CPU."""

MAX_BLOCKS = 16
"""Blocks at most, as each is compiled apart."""

CHECKPOINT_ABOVE = 512
"""Number of queries above which the backward pass computes the scores again, block by block."""


def attend(
    q: Float[Array, "B H T K"],
    k: Float[Array, "B H S K"],
    v: Float[Array, "B H S K"],
    mask: Bool[Array, "R T S"],
    dropout_rate: float = 0.0,
    dropout_key: Any = None,
) -> Float[Array, "B H T K"]:
    """softmax(q k^T / sqrt(K)) v over the keys that the mask allows.

    Scores and softmax are float32. A query that may look at nothing gives 0, and gradients 0.
    Source: Vaswani et al., 2017, arXiv:1706.03762.

    Args:
      q: queries [B, H, T, K].
      k: keys [B, H, S, K].
      v: values [B, H, S, K].
      mask: [B or 1, T, S], True = may look.
      dropout_rate: share of the weights set to 0; needs `dropout_key`.
      dropout_key: None = no dropout.
    """
    scale = 1 / math.sqrt(q.shape[-1])
    scores = jnp.einsum("bhtk,bhsk->bhts", q * scale, k, preferred_element_type=jnp.float32)
    allowed = mask[:, None]  # [R, 1, T, S]
    # Finite, so that a row of them has finite exponentials.
    scores = jnp.where(allowed, scores, jnp.finfo(jnp.float32).min)
    highest = jax.lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True))
    weights = jnp.where(allowed, jnp.exp(scores - highest), 0.0)
    total = jnp.sum(weights, axis=-1, keepdims=True)
    inverse = 1 / jnp.where(total > 0, total, 1.0)
    if dropout_key is not None and dropout_rate > 0:
        kept = jax.random.bernoulli(dropout_key, 1 - dropout_rate, weights.shape)
        weights = jnp.where(kept, weights / (1 - dropout_rate), 0.0)
    summed = jnp.einsum(
        "bhts,bhsk->bhtk", weights.astype(v.dtype), v, preferred_element_type=jnp.float32
    )
    # Dividing [T, K] sums is cheaper than dividing [T, S] weights.
    return (summed * inverse).astype(v.dtype)


def attention(
    q: Float[Array, "B H T K"],
    k: Float[Array, "B H S K"],
    v: Float[Array, "B H S K"],
    queries: Places,
    keys: Places | None = None,
    *,
    causal: bool,
    window: int | None = None,
    dropout_rate: float = 0.0,
    dropout_key: Any = None,
) -> Float[Array, "B H T K"]:
    """Attention by blocks of queries, masked by where queries and keys stand.

    Above `CHECKPOINT_ABOVE` queries memory is that of one block's scores. Where a sequence attends
    to itself causally, a block meets only the keys up to its own end: half the work, as positions
    grow along every document.

    Args:
      q: queries [B, H, T, K].
      k: keys [B, H, S, K].
      v: values [B, H, S, K].
      queries: where the queries stand.
      keys: where the keys stand; None = they are the queries' own tokens, S = T.
      causal: whether later keys are hidden.
      window: as in `attention_mask`.
      dropout_rate: as in `attend`.
      dropout_key: as in `attend`.
    """
    length = q.shape[2]
    block = max(BLOCK, -(-length // MAX_BLOCKS))
    own = keys is None
    keys = queries if keys is None else keys

    def run(start: int, q: Array, k: Array, v: Array, queries: Places, keys: Places, key: Any):
        end = min(start + block, length)
        seen = slice(0, end) if own and causal else slice(None)
        mask = attention_mask(
            _cut(queries, slice(start, end)), _cut(keys, seen), causal=causal, window=window
        )
        key = None if key is None else jax.random.fold_in(key, start)
        return attend(q[:, :, start:end], k[:, :, seen], v[:, :, seen], mask, dropout_rate, key)

    if length > CHECKPOINT_ABOVE:
        run = jax.checkpoint(run, static_argnums=0)
    blocks = [run(n, q, k, v, queries, keys, dropout_key) for n in range(0, length, block)]
    return blocks[0] if len(blocks) == 1 else jnp.concatenate(blocks, axis=2)


def _cut(places: Places, part: slice) -> Places:
    segments = None if places.segments is None else places.segments[:, part]
    return Places(places.positions[:, part], segments)
