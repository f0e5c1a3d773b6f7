"""Log-likelihoods of given texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.decoding.prefill import check_tokens, position_limit
from seqmodels.decoding.prompts import encode_prompt
from seqmodels.ops.losses import softmax_cross_entropy
from seqmodels.protocols import Model
from seqmodels.types import Params, Tokenizer

_LEAST_WIDTH = 16


class Scorer:
    """Scores texts with one causal model of tokens; it keeps the programs that it compiles.

    Every call has `batch_size` rows, and widths are powers of two, so that few programs are
    compiled. A score does not depend on the other texts of its batch (except for the rounding of
    other widths).
    """

    def __init__(self, model: Model, params: Params, tokenizer: Tokenizer, batch_size: int) -> None:
        self._params, self._tokenizer, self.batch_size = params, tokenizer, batch_size
        self._model = model
        self._limit = position_limit(model)

        def score(params: Params, tokens: Any, weights: Any) -> jax.Array:
            variables, segments = {"params": params}, (tokens >= 0).astype(jnp.int32)
            tokens = jnp.maximum(tokens, 0)
            features, _ = model.apply(
                variables, tokens[:, :-1], segment_ids=segments[:, 1:], train=False
            )
            logits = model.apply(variables, features, method="readout")
            losses = softmax_cross_entropy(logits, tokens[:, 1:])
            return -jnp.where(weights[:, 1:] > 0, losses, 0.0).sum(axis=1)

        self._score = jax.jit(score)

    def encode(self, text: str) -> tuple[np.ndarray, int]:
        """Tokens of a text after those that every text starts with, and where its own begin.

        Raises:
          UserError: it is empty, has unknown symbols or is longer than the model's positions.
        """
        return self.encode_after("", text)

    def encode_after(self, prompt: str, text: str) -> tuple[np.ndarray, int]:
        """Tokens of a prompt and a text, and the place of the first token of the text.

        Both are encoded as one string. A token that holds the end of the prompt and the beginning
        of the text belongs to the text.

        Raises:
          UserError: see `encode`.
        """
        tokenizer = self._tokenizer
        before = encode_prompt(tokenizer, "")
        start = tokenizer.start if prompt else before
        if prompt:
            before = np.concatenate([start, tokenizer.encode(prompt, unknown=True)])
        tokens = np.concatenate([start, tokenizer.encode(prompt + text, unknown=True)])
        shorter = min(len(before), len(tokens))
        differs = np.flatnonzero(before[:shorter] != tokens[:shorter])
        first = int(differs[0]) if len(differs) else shorter
        if first == 0:  # one token holds all of the prompt: something has to precede it
            begin = encode_prompt(tokenizer, "")
            tokens, first = np.concatenate([begin, tokens]), len(begin)
        if first == len(tokens):
            raise UserError("is empty; a probability needs at least one token")
        if self._limit is not None and len(tokens) - 1 > self._limit:
            raise UserError(
                f"has {len(tokens) - 1} tokens to read; the model has max_length = {self._limit}"
            )
        return tokens.astype(np.int32), first

    def __call__(self, texts: Sequence[tuple[np.ndarray, int]]) -> list[float]:
        """Log-likelihood of each text given its prompt, in nats.

            sum_{t >= first} log p(tokens[t] | tokens[:t])

        Args:
          texts: (tokens, first) as `encode` returns them, up to `batch_size`.

        Raises:
          ValueError: see `check_tokens`.
        """
        check_tokens(self._model, [tokens for tokens, _ in texts])
        longest = max(len(tokens) for tokens, _ in texts)
        width = max(_LEAST_WIDTH, 1 << (longest - 2).bit_length())
        width = width if self._limit is None else min(width, self._limit)
        rows = np.full((self.batch_size, width + 1), -1, np.int32)
        weights = np.zeros(rows.shape, np.float32)
        rows[:, :2] = 0
        for row, (tokens, first) in enumerate(texts):
            rows[row, : len(tokens)] = tokens
            weights[row, first : len(tokens)] = 1
        found = self._score(self._params, jnp.asarray(rows), jnp.asarray(weights))
        return [float(x) for x in np.asarray(found)[: len(texts)]]
