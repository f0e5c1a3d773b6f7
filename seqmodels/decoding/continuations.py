"""Log-likelihoods of continuations, and whether each is what greedy decoding would write."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from seqmodels.decoding.prefill import check_tokens, choose_capacity, position_limit, readout
from seqmodels.protocols import Model
from seqmodels.types import Carry, Params

_LEAST_WIDTH = 16
_LOGITS = 16  # positions of each row whose logits are in memory at once
_MOST_TOKENS = 1 << 16  # of one call
_CHUNK = 256  # tokens of a long text in one call

Continued = tuple[Int[np.ndarray, " N"], int]
"""Tokens, and the place of the first one that is scored, 1 and above."""
Likelihood = tuple[float, bool]
"""Log-likelihood in nats, and whether every token is the most probable one."""


def _score(
    model: Model, params: Params, features: jax.Array, targets: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Log p of each target, and whether it is the most probable token; [B, T] both.

    Only the logits of a few positions are in memory at once.
    """
    rows, length = targets.shape
    blocks = -(-length // _LOGITS)

    def cut(x: jax.Array) -> jax.Array:
        x = jnp.pad(x, [(0, 0), (0, blocks * _LOGITS - length), *[(0, 0)] * (x.ndim - 2)])
        return jnp.moveaxis(x.reshape(rows, blocks, _LOGITS, *x.shape[2:]), 1, 0)

    def block(pair: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        features, targets = pair
        flat = features.reshape(rows * _LOGITS, *features.shape[2:])
        logits = readout(model, params, flat)  # [B * _LOGITS, V]
        chosen = jnp.take_along_axis(logits, targets.reshape(-1, 1), axis=-1)[:, 0]
        log_p = chosen - jax.nn.logsumexp(logits, axis=-1)
        best = logits.argmax(axis=-1) == targets.reshape(-1)
        return log_p.reshape(rows, _LOGITS), best.reshape(rows, _LOGITS)

    found = jax.lax.map(block, (cut(features), cut(targets)))
    return jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1).reshape(rows, -1)[:, :length], found)


def _whole(model: Model, params: Params, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Scores of all tokens after the first of each row [B, T + 1]; padding is -1."""
    segments = (tokens >= 0).astype(jnp.int32)
    tokens = jnp.maximum(tokens, 0)
    features, _ = model.apply(
        {"params": params}, tokens[:, :-1], segment_ids=segments[:, 1:], train=False
    )
    return _score(model, params, features, tokens[:, 1:])


def _next(
    model: Model, params: Params, carry: Carry, tokens: jax.Array, targets: jax.Array
) -> tuple[Carry, jax.Array]:
    """Log p of the targets of a chunk [B, T]; padding is -1."""
    segments = (targets >= 0).astype(jnp.int32)
    tokens, targets = jnp.maximum(tokens, 0), jnp.maximum(targets, 0)
    features, carry = model.apply(
        {"params": params}, tokens, carry, segment_ids=segments, train=False
    )
    return carry, _score(model, params, features, targets)[0]


class ContinuationScorer:
    """Scores continuations with one causal model of tokens, and keeps its compiled programs.

    The probabilities of single tokens are added on the host in float64. A row is padded to a power
    of two by its own length, so that its score depends on the rest of a batch by rounding alone.

    Args:
      model: a causal model of tokens.
      params: its arrays, unboxed.
      batch_size: the most rows at once; of long rows fewer are read together.
    """

    def __init__(self, model: Model, params: Params, batch_size: int) -> None:
        self._model, self._params, self.batch_size = model, params, batch_size
        self.limit = position_limit(model)
        bind = lambda function: functools.partial(function, model)
        self._whole = jax.jit(bind(_whole))
        self._next = jax.jit(bind(_next), donate_argnums=1)
        self._start = jax.jit(
            lambda params, rows: model.apply(
                {"params": params}, rows, choose_capacity(1, None), method="initial_carry"
            ),
            static_argnums=1,
        )

    def __call__(self, texts: Sequence[Continued]) -> list[Likelihood]:
        """Scores of any number of texts, in their order.

            sum_{t >= first} log p(tokens[t] | tokens[:t])

        Raises:
          ValueError: a token that the model does not have, or a text of more tokens than the model
            has positions, and one.
        """
        check_tokens(self._model, [tokens for tokens, _ in texts])
        longest = max((len(tokens) - 1 for tokens, _ in texts), default=0)
        if self.limit is not None and longest > self.limit:
            raise ValueError(f"{longest} tokens to read; the model has {self.limit} positions")
        widths = np.array([self._width(len(tokens) - 1) for tokens, _ in texts], int)
        found: list[Likelihood] = [(0.0, True)] * len(texts)
        for width in sorted(set(widths.tolist())):
            chosen = np.flatnonzero(widths == width).tolist()
            rows = max(1, min(self.batch_size, _MOST_TOKENS // width))
            for begin in range(0, len(chosen), rows):
                part = chosen[begin : begin + rows]
                scores = self._of([texts[i] for i in part], rows, width)
                for i, score in zip(part, scores, strict=True):
                    found[i] = score
        return found

    def _width(self, length: int) -> int:
        width = max(_LEAST_WIDTH, 1 << (length - 1).bit_length()) if length > 0 else _LEAST_WIDTH
        return width if self.limit is None else min(width, self.limit)

    def _of(self, texts: list[Continued], rows: int, width: int) -> list[Likelihood]:
        block = np.full((rows, width + 1), -1, np.int32)
        block[:, :2] = 0  # a row that is not used has something to read
        for row, (tokens, _) in enumerate(texts):
            block[row, : len(tokens)] = tokens
            block[row, len(tokens) :] = -1
        log_p, best = map(np.asarray, self._whole(self._params, block))
        spans = [slice(first - 1, len(tokens) - 1) for tokens, first in texts]
        return [
            (float(log_p[row, span].sum(dtype=np.float64)), bool(best[row, span].all()))
            for row, span in enumerate(spans)
        ]

    def carried(self, texts: Sequence[Int[np.ndarray, " N"]]) -> list[float]:
        """Log-likelihood of each text after its first token, through a carry of any length.

            sum_{t >= 1} log p(tokens[t] | tokens[:t])

        Raises:
          ValueError: the positions of the model are bounded, or see `check_tokens`.
        """
        if self.limit is not None:
            raise ValueError(f"the model has {self.limit} positions, and no state of any length")
        check_tokens(self._model, texts)
        found = np.zeros(len(texts))
        # Texts of similar length together, so that few rows of a chunk have ended.
        order = np.argsort([len(tokens) for tokens in texts], kind="stable")
        for begin in range(0, len(order), self.batch_size):
            part = order[begin : begin + self.batch_size]
            found[part] = self._carried([texts[i] for i in part])
        return found.tolist()

    def _carried(self, texts: Sequence[np.ndarray]) -> np.ndarray:
        rows, longest = self.batch_size, max(len(tokens) for tokens in texts)
        length = -(-max(longest - 1, 1) // _CHUNK) * _CHUNK
        block = np.full((rows, length + 1), -1, np.int32)
        for row, tokens in enumerate(texts):
            block[row, : len(tokens)] = tokens
        carry, sums = self._start(self._params, rows), np.zeros(rows)
        for at in range(0, length, _CHUNK):
            inputs, targets = block[:, at : at + _CHUNK], block[:, at + 1 : at + _CHUNK + 1]
            carry, log_p = self._next(self._params, carry, inputs, targets)
            real = np.asarray(targets >= 0)
            sums += np.where(real, np.asarray(log_p), 0).sum(axis=1, dtype=np.float64)
        return sums[: len(texts)]
