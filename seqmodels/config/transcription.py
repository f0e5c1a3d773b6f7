"""Typed settings of the task `transcription`."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from seqmodels.config.decoding import Beam, make_beam
from seqmodels.config.errors import UserError
from seqmodels.config.tasks import BEAM_SIZE, NUM_BEST, AnswerFlag, Metric, TaskConfig

if TYPE_CHECKING:
    from seqmodels.config.experiment import ExperimentConfig

_LANGUAGE_MODEL = "evaluation.language_model"


@dataclasses.dataclass(frozen=True)
class TranscriptSearch:
    """A beam, and the language model that guides it; see `decoding.ctc.search`.

    Attributes:
      beam: its size (1 is greedy) and the number of transcripts; the rest does not matter.
      language_model: a UTF-8 file with a text on each line; None = none.
      order, weight, bonus: of the n-gram model that is counted in the file.
    """

    beam: Beam
    language_model: Path | None
    order: int
    weight: float
    bonus: float

    def __post_init__(self) -> None:
        if self.language_model is not None and self.beam.size == 1:
            raise UserError(
                f"{_LANGUAGE_MODEL}={self.language_model}: needs evaluation.beam_size above 1"
            )


def make_transcript_search(
    config: ExperimentConfig,
    *,
    language_model: str | None = None,
    language_model_weight: float | None = None,
    length_bonus: float | None = None,
    **beam: Any,
) -> TranscriptSearch:
    """The search of a run; arguments that are None come from its evaluation settings.

    Raises:
      UserError: numbers that do not go together, or a language model that is not there.
    """
    own = config.evaluation
    file = own.language_model if language_model is None else language_model
    return TranscriptSearch(
        make_beam(own, config.data.lengths()["targets.max_length"], **beam),
        None if file is None else _existing(Path(file)),
        own.language_model_order,
        own.language_model_weight if language_model_weight is None else language_model_weight,
        own.length_bonus if length_bonus is None else length_bonus,
    )


def _existing(file: Path) -> Path:
    if not file.is_file():
        others = [path.name for path in file.parent.glob("*")]
        near = difflib.get_close_matches(file.name, others, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(f"{_LANGUAGE_MODEL}={file}: there is no such file{hint}")
    return file


LANGUAGE_MODEL = AnswerFlag(
    "language_model",
    str,
    None,
    None,
    "text whose n-grams guide the search for transcripts; none = the run's " + _LANGUAGE_MODEL,
)
LANGUAGE_MODEL_WEIGHT = AnswerFlag(
    "language_model_weight",
    float,
    None,
    0,
    "weight of the n-gram log-probability; none = the run's evaluation.language_model_weight",
)
LENGTH_BONUS = AnswerFlag(
    "length_bonus",
    float,
    None,
    0,
    "score added per symbol with a language model; none = the run's evaluation.length_bonus",
)


@dataclasses.dataclass
class TranscriptionConfig(TaskConfig):
    """The text of a sound, or of a line that is read column by column, without alignments."""

    kind: ClassVar[str] = "transcription"
    roles: ClassVar[dict[str, tuple[str, ...]]] = {
        "inputs": ("image", "values", "sound"),
        "targets": ("tokens",),
    }
    outputs: ClassVar[str] = "classes"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("loss", "nats per transcript"),
        Metric("character_error_rate", "edits per character", further=True),
        Metric("word_error_rate", "edits per word", further=True),
        Metric("exact_match", "share of transcripts", lower_is_better=False, further=True),
    )
    answers: ClassVar[str | None] = "inputs"
    answer_flags: ClassVar[tuple[AnswerFlag, ...]] = (
        BEAM_SIZE,
        NUM_BEST,
        LANGUAGE_MODEL,
        LANGUAGE_MODEL_WEIGHT,
        LENGTH_BONUS,
    )
    noun: ClassVar[str] = "transcripts"

    def conflicts(self, config: ExperimentConfig) -> Iterator[tuple[str, str]]:
        """An image is read as a sequence."""
        yield from super().conflicts(config)
        if config.data.word("inputs") == "image":
            yield "data.inputs.reading", "must be columns or rows: transcripts need a sequence"

    def check_evaluation(self, config: ExperimentConfig) -> None:
        """Raises UserError where the language model of the search is not there."""
        make_transcript_search(config)

    def answer_settings(self, config: ExperimentConfig, flags: dict[str, Any]) -> TranscriptSearch:
        """The search of the run; flags that are None keep its evaluation settings."""
        return make_transcript_search(config, **flags)
