"""Scaled dot-product attention."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Bool, Float

from seqmodels.native import library
from seqmodels.native.attention import attention_chunk
from seqmodels.ops.masks import Positions, attention_mask, distances
from seqmodels.ops.sequence_axis import SEQUENCE, sequence_devices

Implementation = Literal["auto", "blocks", "native"]
FEWEST_NATIVE = 32, 4096
"""From these numbers of queries and of scores of a head on, the kernel in C++ is faster."""

BLOCK = 128
"""Smallest number of queries in a block; the scores of one block fit in the caches of a CPU."""

MAX_BLOCKS = 16
"""Largest number of blocks, because each is compiled separately."""

CHECKPOINT_ABOVE = 512
"""Number of queries above which the backward pass recomputes the scores, block by block."""


class Contained(NamedTuple):
    """Keys and values without NaN and infinity; see `contain`.

    Attributes:
      keys, values: [B, G, S, K], 0 at tokens that are not finite.
      finite: [B, S], False at those tokens.
    """

    keys: Float[Array, "*B G S K"]
    values: Float[Array, "*B G S K"]
    finite: Bool[Array, "*B S"]


def contain(k: Float[Array, "*B G S K"], v: Float[Array, "*B G S K"]) -> Contained:
    """Takes out keys and values that are not finite, and says of which tokens.

    A sum over all tokens would spread them to queries that do not see them, because 0 * NaN is NaN,
    forward and in the gradient. `attend` gives NaN to the queries that see such a token.
    """
    finite = jnp.isfinite(k).all((-3, -1)) & jnp.isfinite(v).all((-3, -1))
    clean = lambda x: jnp.where(finite[..., None, :, None], x, 0)
    return Contained(clean(k), clean(v), finite)


def attend(
    q: Float[Array, "B H T K"],
    k: Float[Array, "B G S K"],
    v: Float[Array, "B G S K"],
    mask: Bool[Array, "R T S"],
    bias: Float[Array, "C H T S"] | None = None,
    dropout_rate: float = 0.0,
    dropout_key: Any = None,
    finite: Bool[Array, "B S"] | None = None,
) -> Float[Array, "B H T K"]:
    """softmax(q k^T / sqrt(K) + bias) v over the keys that the mask allows.

    Scores and softmax are float32. A query with no visible key gives 0, and its gradients are 0.
    NaN or infinity in a token makes NaN of the queries that see it and of no others; it does not
    enter the gradients either.
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
      finite: of `contain`, where k and v come from it.
    """
    if finite is None:
        k, v, finite = contain(k, v)
    weights, inverse, broken = _weigh(q, k, finite, mask, bias)
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
    return jnp.where(broken, jnp.nan, summed.reshape(q.shape) * inverse).astype(v.dtype)


def _weigh(
    q: Array, k: Array, finite: Array, mask: Array, bias: Array | None
) -> tuple[Float[Array, "B H T S"], Float[Array, "B H T one"], Bool[Array, "B heads T one"]]:
    """Exponentials of the scores, one over their sum (1 where a query sees nothing), and whether
    a query is not finite or sees a key that is not."""
    scale, usable = 1 / math.sqrt(q.shape[-1]), jnp.isfinite(q).all((1, 3))
    q = jnp.where(usable[:, None, :, None], q, 0)
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
    sound = usable[:, None, :, None] & finite[:, None, None]  # [B, 1, T, S]
    broken = jnp.any(
        jnp.broadcast_to(allowed, jnp.broadcast_shapes(allowed.shape, sound.shape)) & ~sound,
        axis=-1,
        keepdims=True,
    )
    return weights, 1 / jnp.where(total > 0, total, 1.0), broken


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
    finite: Bool[Array, "B S"] | None = None,
    implementation: Implementation = "auto",
) -> Float[Array, "B H T K"]:
    """Attention in blocks of queries, masked by the positions of queries and keys.

    Above `CHECKPOINT_ABOVE` queries it holds the scores of one block at a time. In causal
    self-attention a block reads only the keys up to its own end, which halves the work, because
    positions grow along every document. With a window and no segments it reads only the keys
    within the window. Where the mesh has an axis `sequence` that divides the queries, each of its
    devices has a part of them and reads all keys.

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
      finite: as in `attend`.
      implementation: 'blocks', by jax; 'native', by a kernel in C++ for one CPU device and float32,
        without bias, slopes and dropout; 'auto' = 'native' where it can run and is faster.

    Raises:
      ValueError: 'native' with what it does not have.
      NativeError: 'native' where it cannot be compiled.
    """
    held = contain(k, v) if finite is None else Contained(k, v, finite)
    others = {"bias": bias, "slopes": slopes, "dropout": dropout_key}
    if _is_native(implementation, q, k, [name for name, x in others.items() if x is not None]):
        return _native(q, held, queries, keys, causal=causal, window=window)
    masks = {"causal": causal, "window": window, "dropout_rate": dropout_rate}
    rest = (bias, slopes, dropout_key)
    devices = sequence_devices()
    if devices > 1 and q.shape[2] % devices == 0:
        return _over_devices(q, held, queries, queries if keys is None else keys, *rest, **masks)
    return _in_blocks(q, held, queries, keys, *rest, **masks)


def _is_native(implementation: Implementation, q: Array, k: Array, others: list[str]) -> bool:
    others = others + sorted({x.dtype.name for x in (q, k)} - {"float32"})
    if implementation == "native" and others:
        raise ValueError(f"implementation='native' is for float32 alone, without {others[0]}")
    if implementation != "auto":
        return implementation == "native"
    queries, scores = q.shape[2], q.shape[2] * k.shape[2]
    large = queries >= FEWEST_NATIVE[0] and scores >= FEWEST_NATIVE[1]
    return not others and large and library.usable()


def _native(
    q: Array,
    held: Contained,
    queries: Positions,
    keys: Positions | None,
    *,
    causal: bool,
    window: int | None,
) -> Array:
    """The same by the kernel in C++, which has no optional arguments."""
    usable = jnp.isfinite(q).all((1, 3))
    shape = (q.shape[0], q.shape[2])
    at = _whole_marks(queries, shape)
    seen = at if keys is None else _whole_marks(keys, (shape[0], held.keys.shape[2]))
    q = jnp.where(usable[:, None, :, None], q, 0)
    return attention_chunk(
        q, held.keys, held.values, *at, *seen, usable, held.finite, causal=causal, window=window
    )


def _whole_marks(at: Positions, shape: tuple[int, int]) -> tuple[Array, Array]:
    """Position and segment of every token."""
    segments = jnp.ones(shape, jnp.int32) if at.segments is None else at.segments
    return jnp.broadcast_to(at.positions, shape), segments


def _over_devices(
    q: Array,
    held: Contained,
    queries: Positions,
    keys: Positions,
    bias: Any,
    slopes: Any,
    dropout_key: Any,
    **masks: Any,
) -> Array:
    """Attention of the queries of each device along `sequence` to all keys, which it gathers."""

    def local(
        q: Array, held: Contained, at: Positions, keys: Positions, bias: Any, slopes: Any, key: Any
    ) -> Array:
        if key is not None:
            key = jax.random.fold_in(key, jax.lax.axis_index(SEQUENCE))
        return _in_blocks(q, held, at, keys, bias, slopes, key, **masks)

    whole, split = PartitionSpec(), PartitionSpec(None, None, SEQUENCE)
    at = PartitionSpec(None, SEQUENCE)
    spread = jax.shard_map(
        local,
        in_specs=(split, whole, at, whole, split, whole, whole),
        out_specs=split,
        axis_names={SEQUENCE},
        check_vma=False,
    )
    return spread(q, held, queries, keys, bias, slopes, dropout_key)


def _in_blocks(
    q: Array,
    held: Contained,
    queries: Positions,
    keys: Positions | None,
    bias: Any,
    slopes: Any,
    dropout_key: Any,
    *,
    causal: bool,
    window: int | None,
    dropout_rate: float,
) -> Array:
    """Attention, a block of queries after the other."""
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

    def run(start: int, q: Array, held: Contained, at: Positions, keys: Positions, *rest: Any):
        bias, slopes, key = rest
        k, v, finite = held
        end = min(start + block, length)
        part, seen = slice(start, end), reach(start, end)
        at, keys = _cut(at, part), _cut(keys, seen)
        mask = attention_mask(at, keys, causal=causal, window=window)
        bias = None if bias is None else bias[:, :, part, seen]
        bias = _with_alibi(bias, slopes, at, keys)
        key = None if key is None else jax.random.fold_in(key, start)
        held = Contained(k[:, :, seen], v[:, :, seen], finite[:, seen])
        return attend(q[:, :, part], *held[:2], mask, bias, dropout_rate, key, held.finite)

    if length > CHECKPOINT_ABOVE:
        run = jax.checkpoint(run, static_argnums=0)
    rest = (q, held, queries, keys, bias, slopes, dropout_key)
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
    finite: Bool[Array, "B S"] | None = None,
) -> Float[Array, "B H T S"]:
    """The weights with which `attention` sums values, all at once, for pictures.

    Each row adds up to 1, or is 0 where the query sees nothing. Arguments as in `attention`.
    """
    keys = queries if keys is None else keys
    mask = attention_mask(queries, keys, causal=causal, window=window)
    if finite is None:
        k, _, finite = contain(k, k)
    weights, inverse, broken = _weigh(q, k, finite, mask, _with_alibi(bias, slopes, queries, keys))
    return jnp.where(broken, jnp.nan, weights * inverse)


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
