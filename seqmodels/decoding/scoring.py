"""Log-likelihoods of given texts: per line, and of the answers to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.decoding.prefill import position_limit
from seqmodels.ops.losses import softmax_cross_entropy
from seqmodels.runs.run import Run, encode_prompt
from seqmodels.types import Params

_LEAST_WIDTH = 16


class Scorer:
    """Scores texts with one run over text; what is compiled stays with it.

    Every call has `batch_size` rows, and widths are powers of two, so that few programs are
    compiled. No score depends on what else is scored, but for the rounding of other widths.

    Raises:
      UserError: the model predicts no next token.
    """

    def __init__(self, run: Run, batch_size: int) -> None:
        if run.tokenizer is None or not run.model.causal:
            raise UserError(
                f"--workdir={run.workdir}: a {run.config.model.kind} with task.kind="
                f"{run.config.task.kind} gives no text a probability"
            )
        self._run, self.batch_size = run, batch_size
        self._limit = position_limit(run.model)
        model: Any = run.model

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
        """Tokens of a text behind what texts start with, and where the text itself begins.

        Raises:
          UserError: it is empty, has unknown symbols or is longer than the model's positions.
        """
        return self.encode_behind("", text)

    def encode_behind(self, prompt: str, text: str) -> tuple[np.ndarray, int]:
        """Tokens of a prompt with a text behind it, and where those of the text begin.

        Both are encoded as one. Where a token holds an end of the prompt and a beginning of the
        text, it belongs to the text.

        Raises:
          UserError: see `encode`.
        """
        tokenizer = self._run.tokenizer
        assert tokenizer is not None
        before = encode_prompt(tokenizer, "")
        start = tokenizer.start if prompt else before
        if prompt:
            before = np.concatenate([start, tokenizer.encode(prompt, unknown=True)])
        tokens = np.concatenate([start, tokenizer.encode(prompt + text, unknown=True)])
        shorter = min(len(before), len(tokens))
        differs = np.flatnonzero(before[:shorter] != tokens[:shorter])
        first = int(differs[0]) if len(differs) else shorter
        if first == 0:  # one token holds all of the prompt: it needs something to stand behind
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
        """log p, in nats, of the tokens from `first` on of each (tokens, first), given the others.

        Args:
          texts: up to `batch_size`, as `encode` makes them.
        """
        longest = max(len(tokens) for tokens, _ in texts)
        width = max(_LEAST_WIDTH, 1 << (longest - 2).bit_length())
        width = width if self._limit is None else min(width, self._limit)
        rows = np.full((self.batch_size, width + 1), -1, np.int32)
        weights = np.zeros(rows.shape, np.float32)
        rows[:, :2] = 0
        for row, (tokens, first) in enumerate(texts):
            rows[row, : len(tokens)] = tokens
            weights[row, first : len(tokens)] = 1
        found = self._score(self._run.params, jnp.asarray(rows), jnp.asarray(weights))
        return [float(x) for x in np.asarray(found)[: len(texts)]]
