"""Multi-head self-attention and cross attention, with caches."""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Shaped

from seqmodels.config.transformers import Position
from seqmodels.layers.dense import Dense, Initializer
from seqmodels.layers.record import is_recording, record
from seqmodels.layers.sharding import ACTIVATIONS, constrain
from seqmodels.ops.attention import Contained, attention, attention_weights, contain
from seqmodels.ops.masks import Positions
from seqmodels.ops.positions import RotaryScaling, alibi_slopes, rotary

HEADS = ("batch", "heads", "time", None)
"""Logical names of the axes of [B, H, T, K]. Heads whose number the mesh axis does not divide are
whole on every device, and so are queries whose groups it does not divide."""


class Memory(NamedTuple):
    """Keys and values for cross attention, computed once from the output of an encoder.

    Attributes:
      keys, values: of all layers, [B, L, G, S, K].
      finite: of `ops.attention.contain`, [B, L, S].
      positions: of the tokens of the memory.
    """

    keys: Float[Array, "B L G S K"]
    values: Float[Array, "B L G S K"]
    finite: Bool[Array, "B L S"]
    positions: Positions


class AttentionContext(NamedTuple):
    """Positions, slots and memory of a chunk, the same for all layers.

    Attributes:
      queries: positions of the chunk's tokens.
      keys: positions of the keys; None without a cache. Either [B, S], those of the cache's slots
        after the chunk was written, or [B, S + T], those of the slots before it was written
        followed by the chunk's own.
      slots: [B, T], cache slot of each of the chunk's tokens; S and above = none. None without a
        cache.
      memory: of cross attention; None without one.
    """

    queries: Positions
    keys: Positions | None = None
    slots: Int[Array, "B T"] | None = None
    memory: Memory | None = None


class SelfAttention(nn.Module):
    """Multi-head self-attention (Vaswani et al., 2017, arXiv:1706.03762).

        q, k, v = x W + b                                      # one product, [B, T, G, H/G + 2, K]
        y = concat_heads(softmax(q k^T / sqrt(K)) v) U + c     # [B, T, D]

    W [D, G, H/G + 2, K] holds, for each of G heads of keys and values, its H/G queries, its key
    and its value. G < H gives grouped queries (Ainslie et al., 2023, arXiv:2305.13245), G = 1
    multi-query attention (Shazeer, 2019, arXiv:1911.02150). Rotary positions (Su et al., 2021,
    arXiv:2104.09864) rotate q and k; ALiBi (Press et al., 2022, arXiv:2108.12409) lowers the score
    of a key by its distance times a slope of the head.

    Attributes:
      num_heads: H.
      train: whether there is dropout.
      num_kv_heads: G, divides H; None = H.
      head_dim: K; None = D / H.
      causal: whether later tokens are hidden.
      window: number of visible tokens, the query's own included; None = all.
      position: only rotary and alibi act here.
      rotary_base, rotary_scaling: of rotary angles.
      use_bias: whether b and c are there.
      dropout_rate: share of the attention weights set to 0.
      kernel_init: initializer of W.
      output_init: initializer of U.
      gather_once: of `Dense`.
      dtype: dtype of the products; scores and softmax are float32.
    """

    num_heads: int
    train: bool
    num_kv_heads: int | None = None
    head_dim: int | None = None
    causal: bool = True
    window: int | None = None
    position: Position = Position.NONE
    rotary_base: float = 10000.0
    rotary_scaling: RotaryScaling | None = None
    use_bias: bool = False
    dropout_rate: float = 0.0
    kernel_init: Initializer = nn.initializers.normal(0.02)
    output_init: Initializer = nn.initializers.normal(0.02)
    gather_once: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        cache: Contained | None,
        context: AttentionContext,
    ) -> tuple[Float[Array, "B T D"], Contained | None]:
        q, k, v = self._project(constrain(x, ACTIVATIONS))
        if self.position == Position.ROTARY:
            angles = (context.queries.positions, self.rotary_base, self.rotary_scaling)
            q, k = rotary(q, *angles), rotary(k, *angles)
        held = contain(k, v)
        if cache is not None:
            cache, held = _extend(cache, context, held)
        alibi = self.position == Position.ALIBI
        y = _attended(
            self,
            q,
            held,
            context.queries,
            context.keys,
            causal=self.causal,
            window=self.window,
            slopes=jnp.asarray(alibi_slopes(self.num_heads)) if alibi else None,
        )
        out = _output(self, x.shape[-1])
        return out(_concatenated(y)), cache

    def _project(self, x: Array) -> tuple[Array, Array, Array]:
        """Returns q [B, H, T, K] and k, v [B, G, T, K]."""
        groups = self.num_kv_heads or self.num_heads
        queries, size = self.num_heads // groups, self.head_dim or x.shape[-1] // self.num_heads
        project = Dense(
            (groups, queries + 2, size),
            ("embed", "heads", None, "kv"),
            use_bias=self.use_bias,
            kernel_init=self.kernel_init,
            gather_once=self.gather_once,
            dtype=self.dtype,
            name="qkv",
        )
        parts = jnp.transpose(project(x), (3, 0, 2, 1, 4))  # [H/G + 2, B, G, T, K]
        parts = constrain(parts, (None, *HEADS))
        if queries == 1:
            return parts[0], parts[1], parts[2]
        q = jnp.moveaxis(parts[:queries], 0, 2)  # [B, G, H/G, T, K]
        q = q.reshape(x.shape[0], self.num_heads, x.shape[1], size)
        return q, parts[-2], parts[-1]


class CrossAttention(nn.Module):
    """Multi-head cross attention to a memory (Vaswani et al., 2017, arXiv:1706.03762).

        q = x W + b                                            # [B, T, H, K]
        y = concat_heads(softmax(q k^T / sqrt(K)) v) U + c     # [B, T, D]

    The keys and values k, v [R, G, S, K] of the layer are computed once from the memory, outside,
    and serve every chunk; `finite` is that of `ops.attention.contain`, where they come from it.
    Document n attends to document n of the memory. With R = B / n, row b of the memory is that of
    the rows b n .. b n + n - 1.

    Attributes:
      num_heads: H.
      train: whether there is dropout.
      head_dim: K; None = D / H.
      use_bias: whether b and c are there.
      dropout_rate: share of the attention weights set to 0.
      kernel_init: initializer of W.
      output_init: initializer of U.
      gather_once: of `Dense`.
      dtype: dtype of the products; scores and softmax are float32.
    """

    num_heads: int
    train: bool
    head_dim: int | None = None
    use_bias: bool = False
    dropout_rate: float = 0.0
    kernel_init: Initializer = nn.initializers.normal(0.02)
    output_init: Initializer = nn.initializers.normal(0.02)
    gather_once: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        keys: Float[Array, "R G S K"],
        values: Float[Array, "R G S K"],
        queries: Positions,
        memory: Positions,
        finite: Bool[Array, "R S"] | None = None,
    ) -> Float[Array, "B T D"]:
        project = Dense(
            (self.num_heads, self.head_dim or x.shape[-1] // self.num_heads),
            ("embed", "heads", "kv"),
            use_bias=self.use_bias,
            kernel_init=self.kernel_init,
            gather_once=self.gather_once,
            dtype=self.dtype,
            name="query",
        )
        q = constrain(jnp.swapaxes(project(constrain(x, ACTIVATIONS)), 1, 2), HEADS)
        length = len(x) * x.shape[1] // len(keys)
        segments = queries.segments
        held = contain(keys, values) if finite is None else Contained(keys, values, finite)
        y = _attended(
            self,
            _regrouped(q, len(keys)),
            held,
            # Only documents count here, so every position may be 0.
            Positions(
                jnp.zeros((1, length), jnp.int32),
                None if segments is None else segments.reshape(-1, length),
            ),
            memory,
            causal=False,
        )
        out = _output(self, x.shape[-1])
        return out(_concatenated(_regrouped(y, len(x))))


def _regrouped(x: Float[Array, "B H T K"], rows: int) -> Float[Array, "rows H time K"]:
    """Puts the queries of several rows side by side in one, or takes them apart again."""
    if len(x) == rows:
        return x
    by_query = jnp.swapaxes(x, 1, 2)  # [B, T, H, K]
    return jnp.swapaxes(by_query.reshape(rows, -1, *by_query.shape[2:]), 1, 2)


def _attended(
    layer: SelfAttention | CrossAttention,
    q: Float[Array, "B H T K"],
    held: Contained,
    queries: Positions,
    keys: Positions | None,
    **masks: Any,
) -> Float[Array, "B H T K"]:
    """The values that the queries find.

    Where inner values are asked for, from the weights [B, H, T, S] as a whole, recorded as
    `pattern`; there is no dropout then.
    """
    if not is_recording(layer):
        masks |= {"dropout_rate": layer.dropout_rate, "dropout_key": _dropout_key(layer)}
        values = (held.keys, held.values, queries, keys)
        return attention(q, *values, finite=held.finite, **masks)
    weights = attention_weights(q, held.keys, queries, keys, finite=held.finite, **masks)
    record(layer, "pattern", lambda: weights)
    grouped = (*held.values.shape[:2], -1, held.values.shape[2])
    summed = jnp.einsum("bgts,bgsk->bgtk", weights.reshape(grouped), held.values)
    return summed.reshape(q.shape).astype(held.values.dtype)


def _dropout_key(layer: SelfAttention | CrossAttention) -> Any:
    return layer.make_rng("dropout") if layer.train and layer.dropout_rate > 0 else None


def _concatenated(y: Float[Array, "B H T K"]) -> Float[Array, "B T width"]:
    batch_size, heads, length, size = y.shape
    return jnp.swapaxes(y, 1, 2).reshape(batch_size, length, heads * size)


def _output(part: SelfAttention | CrossAttention, model_dim: int) -> Dense:
    return Dense(
        model_dim,
        ("heads", "embed"),
        use_bias=part.use_bias,
        kernel_init=part.output_init,
        gather_once=part.gather_once,
        dtype=part.dtype,
        name="out",
    )


def _extend(
    cache: Contained, context: AttentionContext, new: Contained
) -> tuple[Contained, Contained]:
    """Writes a chunk into its slots; returns the cache and the keys and values to attend to."""
    assert context.keys is not None
    slots = context.slots
    assert slots is not None
    after = Contained(*(_written(old, slots, x) for old, x in zip(cache, new, strict=True)))
    if context.keys.positions.shape[1] == cache.keys.shape[2]:
        return after, after
    pairs = zip(cache, new, (2, 2, 1), strict=True)
    return after, Contained(*(jnp.concatenate(pair, axis=s) for *pair, s in pairs))


def _written(
    cache: Shaped[Array, "B *G S *K"], slots: Int[Array, "B T"], new: Shaped[Array, "B *G T *K"]
) -> Shaped[Array, "B *G S *K"]:
    """Writes the tokens of a chunk into their slots; one whose slot is S or above is dropped."""
    axis = min(cache.ndim - 1, 2)
    new = new.astype(cache.dtype)
    if slots.shape[1] > 1:
        place = (jnp.arange(len(cache))[:, None], *(axis - 1) * (slice(None),), slots)
        return cache.at[place].set(jnp.moveaxis(new, axis, 1), mode="drop")
    # To drop a token, the compiler would choose between two whole caches, and so copy one.
    kept = slots < cache.shape[axis]
    slot = jnp.where(kept, slots, 0)[:, 0]
    place = (jnp.arange(len(cache)), *(axis - 1) * (slice(None),), slot)
    new = jnp.squeeze(new, axis)
    new = jnp.where(kept.reshape(-1, *(1,) * (new.ndim - 1)), new, cache[place])
    if len(cache) == 1:
        row = lax.dynamic_update_index_in_dim(cache[0], new[0], slot[0], axis - 1)
        return row[None]
    return cache.at[place].set(new, mode="promise_in_bounds")
