"""Pooling of a sequence to one vector."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from seqmodels.config.models import Pooling
from seqmodels.layers.dense import Dense


class SequencePooling(nn.Module):
    """Pools [B, T, F] over the tokens to [B, F]; padding is left out, and no tokens give 0.

        last:       y = x_T; with two directions [forward_T, backward_1], the end of each
        mean:       y = sum_t x_t / T
        max:        y = max_t x_t
        attention:  y = sum_t a_t x_t,   a = softmax_t(w . tanh(W x_t + b))

    Source of attention: Yang et al., 2016, "Hierarchical attention networks".

    Attributes:
      pooling: which y.
      bidirectional: whether the second half of the features was read from the end.
      dtype: dtype of the products and the result; sums are in float32.
    """

    pooling: Pooling
    bidirectional: bool
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "B T F"], valid: Bool[Array, "B T"] | None = None
    ) -> Float[Array, "B F"]:
        if valid is None:
            valid = jnp.ones(x.shape[:2], bool)
        else:
            x = jnp.where(valid[..., None], x, 0.0)  # a NaN would survive a weight of 0
        match self.pooling:
            case Pooling.LAST:
                y = self._ends(x, valid)
            case Pooling.MEAN:
                count = jnp.maximum(valid.sum(axis=1, keepdims=True), 1)
                y = x.astype(jnp.float32).sum(axis=1) / count
            case Pooling.MAX:
                lowest = jnp.finfo(x.dtype).min
                y = jnp.where(valid[..., None], x, lowest).max(axis=1)
            case Pooling.ATTENTION:
                y = self._attended(x, valid)
        return jnp.where(valid.any(axis=1, keepdims=True), y, 0.0).astype(self.dtype)

    def _ends(self, x: Array, valid: Array) -> Array:
        at = lambda part, places: jnp.take_along_axis(part, places[:, None, None], axis=1)[:, 0]
        first, last = jnp.argmax(valid, axis=1), x.shape[1] - 1 - jnp.argmax(valid[:, ::-1], axis=1)
        if not self.bidirectional:
            return at(x, last)
        forward, backward = jnp.split(x, 2, axis=-1)
        return jnp.concatenate([at(forward, last), at(backward, first)], axis=-1)

    def _attended(self, x: Array, valid: Array) -> Array:
        hidden = Dense(x.shape[-1], ("hidden", "gates"), dtype=self.dtype, name="attention")(x)
        score = Dense(1, ("gates", None), use_bias=False, output_dtype=jnp.float32, name="score")
        scores = score(jnp.tanh(hidden))[..., 0]  # [B, T]
        scores = jnp.where(valid, scores, jnp.finfo(jnp.float32).min)
        weights = jax.nn.softmax(scores, axis=1)
        weights = jnp.where(valid, weights, 0.0)
        return jnp.einsum("bt,btf->bf", weights, x.astype(jnp.float32))
