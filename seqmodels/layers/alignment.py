"""Attention of a recurrent decoder to the states of an encoder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from seqmodels.config.recurrent import AlignmentScope, AlignmentScore
from seqmodels.layers.dense import Dense
from seqmodels.layers.sharding import parameter
from seqmodels.ops.alignment import local_weights, masked_softmax

GLOROT = nn.initializers.glorot_uniform()


class Alignment(nn.Module):
    """Scores each state h_j [M] of an encoder against a decoder's state s [N]; averages the h_j.

        additive:    e_j = v . tanh(s W + h_j U)               # Bahdanau et al., arXiv:1409.0473
        concat:      e_j = v . tanh([s, h_j] W)                # Luong et al., arXiv:1508.04025
        general:     e_j = s . (h_j W)                         # the same
        dot:         e_j = s . h_j                             # the same
        scaled_dot:  e_j = s . h_j / sqrt(N)                   # Vaswani et al., arXiv:1706.03762

        global:      a = softmax_j(e)
        local_p:     a = softmax_j(e over |j - p| <= D) * exp(-(j - p)^2 / (2 (D / 2)^2))
                     p = S_b * sigmoid(v_p . tanh(s W_p))      # Luong et al.; `ops.alignment`
        c = sum_j a_j h_j                                      # [M]

    additive and concat are one function with two initialisations; dot and scaled_dot need N = M.
    `prepare` computes h U or h W once per source, so a step computes only the part of s. The
    parallel form of additive and concat holds [B, T, S, A] numbers. Scores and weights are float32.
    NaN or infinity in a state makes NaN of the queries that see it and of no others.

    Attributes:
      score: which e.
      extent: global or local_p; the name `scope` is taken by Flax.
      query_dim: N.
      memory_dim: M.
      attention_dim: A, width of additive and concat, and of the prediction of local_p.
      local_window: D.
      dtype: dtype of the products.
    """

    score: AlignmentScore
    extent: AlignmentScope
    query_dim: int
    memory_dim: int
    attention_dim: int
    local_window: int
    dtype: Any = jnp.float32

    def setup(self) -> None:
        width, named = self.attention_dim, ("hidden", "gates")
        linear = {"use_bias": False, "kernel_init": GLOROT, "dtype": self.dtype}
        linear |= {"gather_once": True}
        match self.score:
            case AlignmentScore.ADDITIVE:
                self.query = Dense(width, named, **linear)
                self.memory = Dense(width, named, **linear)
            case AlignmentScore.CONCAT:
                size = self.query_dim + self.memory_dim
                self.kernel = self._param("kernel", named, size, width)
            case AlignmentScore.GENERAL:
                self.memory = Dense(self.query_dim, ("gates", "hidden"), **linear)
            case _ if self.query_dim != self.memory_dim:
                raise ValueError(
                    f"score {self.score} needs states of one width, "
                    f"not {self.query_dim} and {self.memory_dim}"
                )
        if self._is_additive:
            self.score_kernel = self._param("score_kernel", named[1:], width)
        if self.extent is AlignmentScope.LOCAL_P:
            self.position = Dense(width, named, **linear)
            self.position_kernel = self._param("position_kernel", named[1:], width)

    @property
    def _is_additive(self) -> bool:
        return self.score in (AlignmentScore.ADDITIVE, AlignmentScore.CONCAT)

    def _param(self, name: str, names: tuple[str, ...], *shape: int) -> Any:
        init = GLOROT if len(shape) > 1 else nn.initializers.normal(self.attention_dim**-0.5)
        return parameter(self, name, init, names, shape)

    def prepare(self, states: Float[Array, "B S M"]) -> dict[str, Array]:
        """Everything that the source decides.

        Returns:
          "states": h, 0 at positions that are not finite; "finite": [B, S], False there; "keys":
          the part of the scores [B, S, A], where it is not h itself.
        """
        finite = jnp.isfinite(states).all(-1)
        states = jnp.where(finite[..., None], states, 0)
        source = {"states": states, "finite": finite}
        match self.score:
            case AlignmentScore.ADDITIVE | AlignmentScore.GENERAL:
                source["keys"] = self.memory(states)
            case AlignmentScore.CONCAT:
                source["keys"] = self._product(states, self.kernel[self.query_dim :])
        return source

    def __call__(
        self,
        query: Float[Array, "B *T N"],
        source: Mapping[str, Array],
        mask: Bool[Array, "R *own S"],
    ) -> tuple[Float[Array, "B *T M"], Float[Array, "B *T S"]]:
        """Contexts and weights, for one query per row or for T at once.

        Args:
          query: s [B, N], or [B, T, N].
          source: result of `prepare`. One of R = B / n rows serves groups of queries: its row b is
            that of rows b n .. b n + n - 1.
          mask: True where a position is visible, [R, S], or [R, T, S] if each query has its own.
            Elsewhere the weight is exactly 0; the context of a query that sees nothing is 0.
        """
        states = source["states"]
        if query.ndim == 2 or len(query) != len(states):
            grouped = query.reshape(len(states), -1, query.shape[-1])
            context, weights = self(grouped, source, mask)
            rows = query.shape[:-1]
            return context.reshape(*rows, -1), weights.reshape(*rows, -1)
        mask = mask[:, None] if mask.ndim == 2 else mask
        usable = jnp.isfinite(query).all(-1)
        query = jnp.where(usable[..., None], query, 0)
        scores = self._scores(query, source.get("keys", states))
        mask = jnp.broadcast_to(mask, scores.shape)
        sound = usable[..., None] & source["finite"][:, None]
        broken = jnp.any(mask & ~sound, axis=-1, keepdims=True)
        if self.extent is AlignmentScope.LOCAL_P:
            share = nn.sigmoid(jnp.tanh(self.position(query)) @ self.position_kernel)
            share = share.astype(jnp.float32)
            weights = local_weights(scores, mask, share, self.local_window)
        else:
            weights = masked_softmax(scores, mask)
        operands = (weights.astype(states.dtype), states)
        context = jnp.einsum("bts,bsm->btm", *operands, preferred_element_type=jnp.float32)
        context, weights = (jnp.where(broken, jnp.nan, x) for x in (context, weights))
        return context.astype(self.dtype), weights

    def _scores(
        self, query: Float[Array, "B T N"], keys: Float[Array, "B S A"]
    ) -> Float[Array, "B T S"]:
        if self._is_additive:
            if self.score is AlignmentScore.ADDITIVE:
                query = self.query(query)
            else:
                query = self._product(query, self.kernel[: self.query_dim])
            both = query[:, :, None].astype(jnp.float32) + keys[:, None].astype(jnp.float32)
            return jnp.einsum("btsa,a->bts", jnp.tanh(both), self.score_kernel)
        query = query.astype(keys.dtype)
        scores = jnp.einsum("btn,bsn->bts", query, keys, preferred_element_type=jnp.float32)
        if self.score is AlignmentScore.SCALED_DOT:
            scores = scores / math.sqrt(self.query_dim)
        return scores

    def _product(self, x: Array, kernel: Array) -> Array:
        return jnp.einsum("btd,da->bta", x.astype(self.dtype), kernel.astype(self.dtype))
