"""Next-token prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import numpy as np

from seqmodels.data.text import tokenizer_of
from seqmodels.decoding.prompts import encode_prompt
from seqmodels.decoding.scoring import Scorer
from seqmodels.decoding.streaming import StreamScorer
from seqmodels.protocols import Answerer, Data, Example, Features, Given, Model, Trial
from seqmodels.tasks.looking import next_token_example
from seqmodels.tasks.ngram_baseline import count_ngram, kneser_ney
from seqmodels.tasks.scores import score_features, summarize_tokens
from seqmodels.tasks.task import Task
from seqmodels.types import Batch, Carry, DataSpec, Metrics, Params, TokenInput, VocabOutput


class LanguageModel(Task):
    """Every position predicts the next token; the loss is in nats per target.

    loss = - sum_bt w_bt log p(target_bt | the tokens before it) / sum_bt w_bt
    """

    rate_unit: ClassVar[str] = "token"

    def unit(self, features: Features) -> str:
        """The tokenizer's unit."""
        return tokenizer_of(features).unit

    def make_spec(self, features: Features) -> DataSpec:
        """One vocabulary in and out."""
        tokenizer = tokenizer_of(features)
        size = tokenizer.vocab_size
        return DataSpec(TokenInput(size), VocabOutput(size, tokenizer.unknown_id))

    def show(self, batch: Batch, row: int, features: Features) -> str:
        """A row as text: of each document the first input, and then all targets."""
        tokenizer = tokenizer_of(features)
        inputs, targets = batch.inputs[row], batch.targets[row]
        return "\n".join(
            tokenizer.decode(np.concatenate([inputs[at][:1], targets[at]]))
            for at in documents(batch, row)
        )

    def forward(
        self,
        model: Model,
        params: Params,
        batch: Batch,
        carry: Carry | None,
        *,
        train: bool,
        key: jax.Array | None,
    ) -> tuple[jax.Array, jax.Array, Metrics, Carry | None]:
        """Runs the model over one chunk; see `Task.forward`. `loss` is without label smoothing."""
        features, carry = model.apply(
            {"params": params},
            batch.inputs,
            carry,
            segment_ids=batch.segment_ids,
            train=train,
            rngs={} if key is None else {"dropout": key},
        )
        targets = (batch.targets, batch.loss_weights)
        smoothing = self.config.label_smoothing if train else 0.0
        loss, metrics = score_features(model, params, features, *targets, smoothing, train=train)
        return loss, metrics["loss"][1], metrics, carry

    def summarize(
        self, sums: Mapping[str, tuple[Any, Any]], num_bytes: float | None
    ) -> dict[str, Any]:
        """Turns sums over a split into its figures; see `Task.summarize`.

        Returns:
          what `summarize_tokens` does, and bits_per_byte = total nats / ln 2 / num_bytes.
        """
        summary = summarize_tokens(sums)
        if num_bytes is not None:
            summary["bits_per_byte"] = sums["loss"][0] / math.log(2) / num_bytes
        return summary

    def baseline(self, trial: Trial) -> dict[str, Any]:
        """The Kneser-Ney n-gram of evaluation.baseline_order; see `ngram_baseline.kneser_ney`."""
        return kneser_ney(trial)

    def example(
        self, model: Model, params: Params, features: Features, config: Any, given: Given
    ) -> Example:
        """The tokens of a text, each with the next as its target."""
        del params, config
        return next_token_example(model, tokenizer_of(features), given)

    def rival(self, data: Data, config: Any) -> tuple[Model, Params] | None:
        """The Kneser-Ney n-gram of evaluation.baseline_order, counted on the training split."""
        return count_ngram(data, config.evaluation.baseline_order)

    def answerer(
        self,
        model: Model,
        params: Params,
        features: Features,
        config: Any,
        settings: Any,
        batch_size: int,
    ) -> Answerer:
        """The log-probability of each line."""
        del config, settings
        return LineAnswerer(model, params, features, batch_size)

    def stream_answerer(
        self, model: Model, params: Params, features: Features, batch_size: int
    ) -> Answerer:
        """The log-probability of each piece, after all of the text before it."""
        return StreamAnswerer(model, params, features, batch_size)


class LineAnswerer:
    """{"text", "log_probability" (nats), "num_tokens", "log_probability_per_token"} of a line.

    Each line is scored by itself, after what the run's texts start with; its line feed is not
    counted. "num_unknown" is the number of its tokens that are <unk>, where there are any.
    """

    def __init__(self, model: Model, params: Params, features: Features, batch_size: int) -> None:
        self.batch_size, self._tokens = batch_size, features["inputs"]
        self._scorer = Scorer(model, params, tokenizer_of(features), batch_size)

    def read(self, given: str) -> tuple[np.ndarray, int]:
        """Tokens of a line."""
        return self._scorer.encode(given)

    def __call__(self, given: Sequence[str], encoded: Sequence[Any]) -> list[dict[str, Any]]:
        """Scores."""
        answers = []
        scores = self._scorer(encoded)
        for text, (tokens, first), nats in zip(given, encoded, scores, strict=True):
            count = len(tokens) - first
            answer = {
                "text": text,
                "log_probability": nats,
                "num_tokens": count,
                "log_probability_per_token": nats / count,
            }
            answers.append({**answer, **self._tokens.facts(tokens[first:])})
        return answers


class StreamAnswerer:
    """{"text", "log_probability" (nats), "num_tokens", "total_tokens", "loss"} of a piece.

    A piece is scored after all pieces before it; the first after what a text of the run starts
    with. Each is encoded by itself. "loss" is the nats per token of everything so far.
    """

    def __init__(self, model: Model, params: Params, features: Features, batch_size: int) -> None:
        self.batch_size, self._tokens = batch_size, features["inputs"]
        self._tokenizer = tokenizer_of(features)
        self._scorer = StreamScorer(model, params, encode_prompt(self._tokenizer, ""))
        self._nats, self._total = 0.0, 0

    def read(self, given: str) -> np.ndarray:
        """Tokens of a piece."""
        return self._tokenizer.encode(given, unknown=True)

    def __call__(self, given: Sequence[str], encoded: Sequence[Any]) -> list[dict[str, Any]]:
        """Scores."""
        scores = self._scorer(np.concatenate(encoded))
        answers, begin = [], 0
        for text, tokens in zip(given, encoded, strict=True):
            nats = float(scores[begin : begin + len(tokens)].sum(dtype=np.float64))
            begin += len(tokens)
            self._nats, self._total = self._nats - nats, self._total + len(tokens)
            answer = {
                "text": text,
                "log_probability": nats,
                "num_tokens": len(tokens),
                "total_tokens": self._total,
                "loss": self._nats / max(self._total, 1),
            }
            answers.append({**answer, **self._tokens.facts(tokens)})
        return answers


def documents(batch: Batch, row: int) -> list[np.ndarray]:
    """The positions [T] of each document of a row, as masks."""
    if batch.segment_ids is None:
        return [np.ones(len(batch.inputs[row]), bool)]
    segments = batch.segment_ids[row]
    return [segments == segment for segment in dict.fromkeys(segments[segments > 0].tolist())]
