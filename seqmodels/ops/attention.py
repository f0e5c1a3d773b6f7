"""Scaled dot-product attention."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from seqmodels.ops.masks import Positions, attention_mask, distances

BLOCK = 128
"""Smallest number of queries in a block; the scores of one block fit in the caches of a CPU."""

MAX_BLOCKS = 16
"""Largest number of blocks, because each is compiled separately."""

CHECKPOINT_ABOVE = 512
"""Number of queries above which the backward pass recomputes the scores, block by block."""


def attend(
    q: Float[Array, "B H T K"],
    k: Float[Array, "B G S K"],
    v: Float[Array, "B G S K"],
    mask: Bool[Array, "R T S"],
    bias: Float[Array, "C H T S"] | None = None,
    dropout_rate: float = 0.0,
    dropout_key: Any = None,
) -> Float[Array, "B H T K"]:
    """softmax(q k^T / sqrt(K) + bias) v over the keys that the mask allows.

    Scores and softmax are float32. A query with no visible key gives 0, and its gradients are 0.
    With fewer heads of keys than of queries (G < H), query head h attends to head h // (H / G). No
    key is repeated in memory, because the queries of a group are stacked along time.
    Sources: Vaswani et al., 2017, arXiv:1706.03762; Shazeer, 2019, arXiv:1911.02150 (G = 1);
    Ainslie et al., 2023, arXiv:2305.13245.

    Args:
      q: queries [B, H, T, K].
      k: keys [B, G, S, K], G divides H.
      v: values [B, G, S, K].
      mask: [B or 1, T, S], True = visible.
      bias: [B or 1, H, T, S], added to the scores; -inf hides a key as the mask does.
      dropout_rate: share of the weights set to 0; needs `dropout_key`.
      dropout_key: None = no dropout.
    """
    weights, inverse = _weigh(q, k, mask, bias)
    if dropout_key is not None and dropout_rate > 0:
        kept = jax.random.bernoulli(dropout_key, 1 - dropout_rate, weights.shape)
        weights = jnp.where(kept, weights / (1 - dropout_rate), 0.0)
    groups = (*v.shape[:2], -1, v.shape[2])
    summed = jnp.einsum(
        "bgts,bgsk->bgtk",
        weights.astype(v.dtype).reshape(groups),
        v,
        preferred_element_type=jnp.float32,
    )
    # Dividing [T, K] sums is cheaper than dividing [T, S] weights.
    return (summed.reshape(q.shape) * inverse).astype(v.dtype)


def _weigh(
    q: Array, k: Array, mask: Array, bias: Array | None
) -> tuple[Float[Array, "B H T S"], Float[Array, "B H T one"]]:
    """Exponentials of the scores, and one over their sum; 1 where a query sees nothing."""
    scale = 1 / math.sqrt(q.shape[-1])
    grouped = (q * scale).reshape(*k.shape[:2], -1, q.shape[-1])  # [B, G, H / G * T, K]
    scores = jnp.einsum("bgtk,bgsk->bgts", grouped, k, preferred_element_type=jnp.float32)
    scores = scores.reshape(*q.shape[:3], k.shape[2])
    allowed = mask[:, None]  # [R, 1, T, S]
    if bias is not None:
        scores = scores + jnp.broadcast_to(bias.astype(jnp.float32), scores.shape)
        allowed = allowed & (scores > -jnp.inf)
    # Finite, so that the exponentials of a fully masked row are finite too.
    scores = jnp.where(allowed, scores, jnp.finfo(jnp.float32).min)
    highest = jax.lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True))
    weights = jnp.where(allowed, jnp.exp(scores - highest), 0.0)
    total = jnp.sum(weights, axis=-1, keepdims=True)
    return weights, 1 / jnp.where(total > 0, total, 1.0)


def attention(
    q: Float[Array, "B H T K"],
    k: Float[Array, "B G S K"],
    v: Float[Array, "B G S K"],
    queries: Positions,
    keys: Positions | None = None,
    *,
    causal: bool,
    window: int | None = None,
    bias: Float[Array, "C H T S"] | None = None,
    slopes: Float[Array, " H"] | None = None,
    dropout_rate: float = 0.0,
    dropout_key: Any = None,
) -> Float[Array, "B H T K"]:
    """Attention in blocks of queries, masked by the positions of queries and keys.

    Above `CHECKPOINT_ABOVE` queries it holds the scores of one block at a time. In causal
    self-attention a block reads only the keys up to its own end, which halves the work, because
    positions grow along every document. With a window and no segments it reads only the keys
    within the window.

    Args:
      q: queries [B, H, T, K].
      k: keys [B, G, S, K], G divides H.
      v: values [B, G, S, K].
      queries: positions of the queries.
      keys: positions of the keys; None = those of the queries, S = T.
      causal: whether later keys are hidden.
      window: as in `attention_mask`.
      bias: [B or 1, H, T, S], as in `attend`.
      slopes: [H], ALiBi's; each block computes its own part of the bias.
      dropout_rate: as in `attend`.
      dropout_key: as in `attend`.
    """
    length = q.shape[2]
    block = max(BLOCK, -(-length // MAX_BLOCKS))
    own = keys is None
    keys = queries if keys is None else keys

    def reach(start: int, end: int) -> slice:
        if not (own and causal):
            return slice(None)
        if window is None or queries.segments is not None:
            return slice(0, end)
        return slice(max(0, start - window + 1), end)

    def run(start: int, q: Array, k: Array, v: Array, at: Positions, keys: Positions, *rest: Any):
        bias, slopes, key = rest
        end = min(start + block, length)
        part, seen = slice(start, end), reach(start, end)
        at, keys = _cut(at, part), _cut(keys, seen)
        mask = attention_mask(at, keys, causal=causal, window=window)
        bias = None if bias is None else bias[:, :, part, seen]
        bias = _with_alibi(bias, slopes, at, keys)
        key = None if key is None else jax.random.fold_in(key, start)
        return attend(q[:, :, part], k[:, :, seen], v[:, :, seen], mask, bias, dropout_rate, key)

    if length > CHECKPOINT_ABOVE:
        run = jax.checkpoint(run, static_argnums=0)
    rest = (q, k, v, queries, keys, bias, slopes, dropout_key)
    blocks = [run(start, *rest) for start in range(0, length, block)]
    return blocks[0] if len(blocks) == 1 else jnp.concatenate(blocks, axis=2)


def attention_weights(
    q: Float[Array, "B H T K"],
    k: Float[Array, "B G S K"],
    queries: Positions,
    keys: Positions | None = None,
    *,
    causal: bool,
    window: int | None = None,
    bias: Float[Array, "C H T S"] | None = None,
    slopes: Float[Array, " H"] | None = None,
) -> Float[Array, "B H T S"]:
    """The weights with which `attention` sums values, all at once, for pictures.

    Each row adds up to 1, or is 0 where the query sees nothing. Arguments as in `attention`.
    """
    keys = queries if keys is None else keys
    mask = attention_mask(queries, keys, causal=causal, window=window)
    weights, inverse = _weigh(q, k, mask, _with_alibi(bias, slopes, queries, keys))
    return weights * inverse


def alibi(
    slopes: Float[Array, " H"], queries: Positions, keys: Positions
) -> Float[Array, "R H T S"]:
    """-slope |distance|: the farther a key, the lower its score (Press et al., arXiv:2108.12409).

    The paper has earlier keys only; here later keys are penalised in the same way.
    """
    far = jnp.abs(distances(queries, keys)).astype(jnp.float32)
    return -slopes[None, :, None, None] * far[:, None]


def _with_alibi(bias: Array | None, slopes: Array | None, at: Positions, keys: Positions) -> Any:
    if slopes is None:
        return bias
    added = alibi(slopes, at, keys)
    if bias is None:
        return added
    shape = jnp.broadcast_shapes(bias.shape, added.shape)
    return jnp.broadcast_to(bias, shape) + jnp.broadcast_to(added, shape)


def _cut(at: Positions, part: slice) -> Positions:
    segments = None if at.segments is None else at.segments[:, part]
    return Positions(at.positions[:, part], segments)
