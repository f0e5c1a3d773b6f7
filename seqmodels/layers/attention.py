"""Multi-head self-attention with a cache of keys and values."""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from seqmodels.layers.dense import Dense, Initializer
from seqmodels.ops.attention import attention
from seqmodels.ops.masks import Places
from seqmodels.ops.positions import rotary


class Cache(NamedTuple):
    """Keys and values of all layers, [B, L, H, S, K]; a slot S holds one token of a row."""

    keys: Float[Array, "B L H S K"]
    values: Float[Array, "B L H S K"]


class Surroundings(NamedTuple):
    """What all layers share.

    Attributes:
      queries: where the tokens of the chunk stand.
      keys: where the tokens of the cache stand, the chunk's own included; None without a cache.
      slots: [B, T] where the chunk's tokens go; S and beyond = nowhere. None without a cache.
    """

    queries: Places
    keys: Places | None = None
    slots: Int[Array, "B T"] | None = None


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence to itself (Vaswani et al., 2017, arXiv:1706.03762).

        q, k, v = x W + b                                      # one product, [B, T, 3, H, K]
        y = concat_heads(softmax(q k^T / sqrt(K)) v) U + c     # [B, T, D]

    Attributes:
      num_heads: H; K = D / H.
      train: whether there is dropout.
      causal: whether later tokens are hidden.
      use_rotary: whether queries and keys are turned by their positions.
      use_bias: whether b and c are there.
      dropout_rate: share of the attention weights set to 0.
      kernel_init: initializer of W.
      output_init: initializer of U.
      dtype: dtype of the products; scores and softmax are float32.
    """

    num_heads: int
    train: bool
    causal: bool = True
    use_rotary: bool = False
    use_bias: bool = False
    dropout_rate: float = 0.0
    kernel_init: Initializer = nn.initializers.normal(0.02)
    output_init: Initializer = nn.initializers.normal(0.02)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        cache: Cache | None,
        layer: Int[Array, ""],
        around: Surroundings,
    ) -> tuple[Float[Array, "B T D"], Cache | None]:
        model_dim = x.shape[-1]
        heads, size = self.num_heads, model_dim // self.num_heads
        project = Dense(
            (3, heads, size),
            ("embed", None, "heads", "kv"),
            use_bias=self.use_bias,
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            name="qkv",
        )
        q, k, v = jnp.transpose(project(x), (2, 0, 3, 1, 4))  # [3, B, H, T, K]
        if self.use_rotary:
            q, k = (rotary(part, around.queries.positions) for part in (q, k))
        if cache is not None:
            cache, k, v = _extend(cache, layer, around.slots, k, v)
        needs_key = self.train and self.dropout_rate > 0
        y = attention(
            q,
            k,
            v,
            around.queries,
            around.keys,
            causal=self.causal,
            dropout_rate=self.dropout_rate,
            dropout_key=self.make_rng("dropout") if needs_key else None,
        )
        y = jnp.swapaxes(y, 1, 2).reshape(x.shape)
        out = Dense(
            model_dim,
            ("heads", "embed"),
            use_bias=self.use_bias,
            kernel_init=self.output_init,
            dtype=self.dtype,
            name="out",
        )
        return out(y), cache


def _extend(
    cache: Cache, layer: Array, slots: Array | None, k: Array, v: Array
) -> tuple[Cache, Array, Array]:
    """Writes a chunk into its slots; returns the cache and all keys and values of the layer."""
    rows = jnp.arange(k.shape[0])[:, None]

    def write(stack: Array, new: Array) -> Array:
        new = jnp.swapaxes(new, 1, 2).astype(stack.dtype)  # [B, T, H, K], as the index puts it
        return stack.at[rows, layer, :, slots].set(new, mode="drop")

    cache = Cache(write(cache.keys, k), write(cache.values, v))
    k, v = (lax.dynamic_index_in_dim(stack, layer, 1, keepdims=False) for stack in cache)
    return cache, k, v
