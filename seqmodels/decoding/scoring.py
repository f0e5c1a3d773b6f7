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
Encoded = tuple[np.ndarray, int]
"""Tokens, and the place of the first one that is scored."""


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

    def encode(self, text: str) -> Encoded:
        """Tokens of a text after those that every text starts with, and where its own begin.

        Raises:
          UserError: it is empty, has unknown symbols or is longer than the model's positions.
        """
        begin = encode_prompt(self._tokenizer, "")
        tokens = np.concatenate([begin, self._tokenizer.encode(text, unknown=True)])
        (encoded,), _ = self._from_one_place([tokens], begin, begin)
        return encoded

    def encode_after(self, prompt: str, texts: Sequence[str]) -> tuple[list[Encoded], int]:
        """Tokens of a prompt and each of some texts, to be compared with each other.

        A prompt and a text are encoded as one string, so that a token may hold the end of the
        prompt and the beginning of a text. All are scored from one place: the earliest at which one
        of them departs from the prompt's own tokens. Else one would be given a part of the prompt
        that another has to pay for.

        Returns:
          (tokens, place of the first token that is scored) of each, and how many tokens of the
          beginning of the prompt are left out, because all that is read exceeds the positions.

        Raises:
          UserError: a text, which is named, has no token of its own, has unknown symbols or is by
            itself longer than the model's positions.
        """
        tokenizer = self._tokenizer
        start = tokenizer.start if prompt else encode_prompt(tokenizer, "")
        own = np.concatenate([start, tokenizer.encode(prompt, unknown=True)])
        joined = []
        for text in texts:
            try:
                tokens = np.concatenate([start, tokenizer.encode(prompt + text, unknown=True)])
                _departure(tokens, own)
            except UserError as error:
                raise UserError(f"{text!r}: {error}") from None
            joined.append(tokens)
        return self._from_one_place(joined, own, start)

    def _from_one_place(
        self, joined: list[np.ndarray], own: np.ndarray, start: np.ndarray
    ) -> tuple[list[Encoded], int]:
        """See `encode_after`; `own` are the prompt's tokens, which `start` begins."""
        first = min(_departure(tokens, own) for tokens in joined)
        if first == 0:  # one token holds all of the prompt: something has to precede it
            start = encode_prompt(self._tokenizer, "")
            joined, first = [np.concatenate([start, tokens]) for tokens in joined], len(start)
        limit, longest = self._limit, max(map(len, joined)) - 1
        cut = 0 if limit is None else max(0, longest - limit)
        if first - cut < max(len(start), 1):
            raise UserError(f"has {longest} tokens to read; the model has max_length = {limit}")
        kept = [np.delete(tokens, np.s_[len(start) : len(start) + cut]) for tokens in joined]
        return [(tokens.astype(np.int32), first - cut) for tokens in kept], cut

    def __call__(self, texts: Sequence[Encoded]) -> list[float]:
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


def _departure(tokens: np.ndarray, own: np.ndarray) -> int:
    """The first place where `tokens` are not those of a prompt; raises UserError if there is
    none."""
    shorter = min(len(own), len(tokens))
    differs = np.flatnonzero(own[:shorter] != tokens[:shorter])
    first = int(differs[0]) if len(differs) else shorter
    if first == len(tokens):
        raise UserError("is empty; a probability needs at least one token")
    return first
