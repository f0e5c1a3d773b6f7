"""What a run makes of the user's own lines or images, one answer each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.config.decoding import Beam
from seqmodels.config.errors import UserError
from seqmodels.config.labelled import LabelledTextDataConfig
from seqmodels.config.tasks import LanguageModelConfig, TranslationConfig
from seqmodels.data.image_file import read_image
from seqmodels.data.labels import normalize
from seqmodels.evaluation.translate import Translator
from seqmodels.runs.generate import make_scorer
from seqmodels.runs.run import Run
from seqmodels.tasks.classification import classify_whole
from seqmodels.types import Params

_LEAST_WIDTH = 8


@runtime_checkable
class Predictor(Protocol):
    """Answers inputs, a batch at a time."""

    batch_size: int

    def encode(self, given: str) -> Any:
        """What the model reads of a line or of a file's name; raises UserError where it cannot."""
        ...

    def __call__(self, given: Sequence[str], encoded: Sequence[Any]) -> list[dict[str, Any]]:
        """An answer for each of up to batch_size inputs."""
        ...


def make_predictor(run: Run, beam: Beam | None, batch_size: int) -> Predictor:
    """Returns what answers for a run over pairs, text, or texts or images of a class each.

    Args:
      beam: of translations; others need none.
    """
    match run.config.task.kind:
        case TranslationConfig.kind:
            assert beam is not None
            return TranslationPredictor(run, beam, batch_size)
        case LanguageModelConfig.kind:
            return LinePredictor(run, batch_size)
        case _ if run.config.data.kind == LabelledTextDataConfig.kind:
            return TextPredictor(run, batch_size)
        case _:
            return ImagePredictor(run, batch_size)


class TranslationPredictor:
    """{"source", "translations": [{"text", "score", "log_probability"}, ..], best first}.

    num_unknown of the source as of `LinePredictor`.
    """

    def __init__(self, run: Run, beam: Beam, batch_size: int) -> None:
        self._translator, self.batch_size = Translator(run, beam, batch_size), batch_size
        self._unknown = run.encoding.source.unknown_id

    def encode(self, given: str) -> np.ndarray:
        """Tokens of a source."""
        return self._translator.encode(given)

    def __call__(self, given: Sequence[str], encoded: Sequence[Any]) -> list[dict[str, Any]]:
        """Translates."""
        found = self._translator(encoded)
        return [
            {
                "source": source,
                "translations": [vars(one) for one in best],
                **_count_unknown(tokens, self._unknown),
            }
            for source, tokens, best in zip(given, encoded, found, strict=True)
        ]


class LinePredictor:
    """{"text", "log_probability" (nats), "num_tokens", "log_probability_per_token"} of a line.

    Each line stands by itself, behind what the run's texts start with; its line feed is not
    counted. "num_unknown" tells, where there are any, how many tokens of it are <unk>.
    """

    def __init__(self, run: Run, batch_size: int) -> None:
        self._scorer, self.batch_size = make_scorer(run, batch_size), batch_size
        assert run.tokenizer is not None
        self._unknown = run.tokenizer.unknown_id

    def encode(self, given: str) -> tuple[np.ndarray, int]:
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
            answers.append({**answer, **_count_unknown(tokens[first:], self._unknown)})
        return answers


class _Classifier:
    """Probabilities of the classes; what is compiled stays with it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        model: Any = run.model

        def classify(params: Params, inputs: jax.Array, segment_ids: Any) -> jax.Array:
            logits, _ = classify_whole(model, params, inputs, segment_ids, train=False)
            return jax.nn.softmax(logits, axis=-1)

        self._classify = jax.jit(classify)

    def __call__(
        self, inputs: np.ndarray, segment_ids: np.ndarray | None, count: int
    ) -> list[dict[str, Any]]:
        """{"label", "probabilities": {label: p}} of the first `count` rows."""
        segments = None if segment_ids is None else jnp.asarray(segment_ids)
        found = np.asarray(self._classify(self._run.params, jnp.asarray(inputs), segments))
        names = self._run.encoding.names
        return [
            {
                "label": names[int(row.argmax())],
                "probabilities": dict(zip(names, map(float, row), strict=True)),
            }
            for row in found[:count]
        ]


class TextPredictor:
    """{"text", "label", "probabilities": {label: p}} of a line; num_unknown as of `LinePredictor`.

    A line longer than data.max_length is refused, or cut with data.cut_long, as in an evaluation.
    """

    def __init__(self, run: Run, batch_size: int) -> None:
        assert isinstance(run.config.data, LabelledTextDataConfig)
        self._classify, self.batch_size = _Classifier(run), batch_size
        self._encoding, self._data = run.encoding, run.config.data

    def encode(self, given: str) -> np.ndarray:
        """Tokens of a line, behind what a row begins with."""
        tokens = self._encoding.tokenizer.encode(given, unknown=True)
        if not len(tokens):
            raise UserError("is empty; a class needs at least one token")
        tokens, most = np.concatenate([self._encoding.start, tokens]), self._data.max_length
        if len(tokens) > most and not self._data.cut_long:
            raise UserError(f"has {len(tokens)} tokens; the run's data.max_length is {most}")
        return tokens[:most]

    def __call__(self, given: Sequence[str], encoded: Sequence[Any]) -> list[dict[str, Any]]:
        """Classifies."""
        width = max(_LEAST_WIDTH, 1 << (max(map(len, encoded)) - 1).bit_length())
        width = min(width, self._data.max_length)
        tokens, segments = (np.zeros((self.batch_size, width), np.int32) for _ in range(2))
        segments[:, 0] = 1  # a row without a line of its own has one token
        for row, line in enumerate(encoded):
            tokens[row, : len(line)], segments[row, : len(line)] = line, 1
        found = self._classify(tokens, segments, len(encoded))
        unknown = self._encoding.tokenizer.unknown_id
        return [
            {"text": text, **answer, **_count_unknown(line, unknown)}
            for text, line, answer in zip(given, encoded, found, strict=True)
        ]


def _count_unknown(tokens: np.ndarray, unknown_id: int | None) -> dict[str, int]:
    """{"num_unknown": n}, or nothing where n is 0."""
    count = 0 if unknown_id is None else int((tokens == unknown_id).sum())
    return {"num_unknown": count} if count else {}


class ImagePredictor:
    """{"file", "label", "probabilities": {label: p}} of an image file."""

    def __init__(self, run: Run, batch_size: int) -> None:
        self._classify, self.batch_size = _Classifier(run), batch_size
        self._image = run.encoding.image

    def encode(self, given: str) -> np.ndarray:
        """Pixels of a file."""
        return read_image(Path(given), self._image)

    def __call__(self, given: Sequence[str], encoded: Sequence[Any]) -> list[dict[str, Any]]:
        """Classifies."""
        rows = np.zeros((self.batch_size, *encoded[0].shape), np.uint8)
        rows[: len(encoded)] = encoded
        found = self._classify(normalize(rows), None, len(encoded))
        return [{"file": file, **answer} for file, answer in zip(given, found, strict=True)]
