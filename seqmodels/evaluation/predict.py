"""What a run makes of the user's own lines or images, one answer each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.config.decoding import Beam
from seqmodels.config.tasks import LanguageModelConfig, TranslationConfig
from seqmodels.data.image_file import read_image
from seqmodels.data.labels import normalize
from seqmodels.evaluation.run import Run
from seqmodels.evaluation.scoring import Scorer
from seqmodels.evaluation.translate import Translator
from seqmodels.types import Params


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
    """Returns what answers for a run over pairs, text or images.

    Args:
      beam: of translations; others need none.
    """
    match run.config.task.kind:
        case TranslationConfig.kind:
            assert beam is not None
            return TranslationPredictor(run, beam, batch_size)
        case LanguageModelConfig.kind:
            return LinePredictor(run, batch_size)
        case _:
            return ImagePredictor(run, batch_size)


class TranslationPredictor:
    """{"source", "translations": [{"text", "score", "log_probability"}, ..], best first}."""

    def __init__(self, run: Run, beam: Beam, batch_size: int) -> None:
        self._translator, self.batch_size = Translator(run, beam, batch_size), batch_size

    def encode(self, given: str) -> np.ndarray:
        """Tokens of a source."""
        return self._translator.encode(given)

    def __call__(self, given: Sequence[str], encoded: Sequence[Any]) -> list[dict[str, Any]]:
        """Translates."""
        return [
            {"source": source, "translations": [vars(found) for found in best]}
            for source, best in zip(given, self._translator(encoded), strict=True)
        ]


class LinePredictor:
    """{"text", "log_probability" (nats), "num_tokens", "log_probability_per_token"} of a line.

    Each line stands by itself, behind what the run's texts start with; its line feed is not
    counted. "num_unknown" tells, where there are any, how many tokens of it are <unk>.
    """

    def __init__(self, run: Run, batch_size: int) -> None:
        self._scorer, self.batch_size = Scorer(run, batch_size), batch_size
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
            if unknown := int((tokens[first:] == self._unknown).sum()):
                answer["num_unknown"] = unknown
            answers.append(answer)
        return answers


class ImagePredictor:
    """{"file", "label", "probabilities": {label: p}} of an image file."""

    def __init__(self, run: Run, batch_size: int) -> None:
        self._run, self.batch_size = run, batch_size
        model: Any = run.model

        def classify(params: Params, images: jax.Array) -> jax.Array:
            features, _ = model.apply({"params": params}, images, train=False)
            if features.ndim == 3:
                features = features[:, -1]
            logits = model.apply({"params": params}, features, method="readout")
            return jax.nn.softmax(logits, axis=-1)

        self._classify = jax.jit(classify)

    def encode(self, given: str) -> np.ndarray:
        """Pixels of a file."""
        return read_image(Path(given), self._run.encoding.image)

    def __call__(self, given: Sequence[str], encoded: Sequence[Any]) -> list[dict[str, Any]]:
        """Classifies."""
        names = self._run.encoding.names
        rows = np.zeros((self.batch_size, *encoded[0].shape), np.uint8)
        rows[: len(encoded)] = encoded
        found = np.asarray(self._classify(self._run.params, jnp.asarray(normalize(rows))))
        return [
            {
                "file": file,
                "label": names[int(probabilities.argmax())],
                "probabilities": dict(zip(names, map(float, probabilities), strict=True)),
            }
            for file, probabilities in zip(given, found, strict=False)
        ]
