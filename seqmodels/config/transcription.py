"""Typed settings of the task `transcription`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from seqmodels.config.decoding import Beam, make_beam
from seqmodels.config.tasks import BEAM_SIZE, NUM_BEST, AnswerFlag, Metric, TaskConfig

if TYPE_CHECKING:
    from seqmodels.config.experiment import ExperimentConfig


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
    answer_flags: ClassVar[tuple[AnswerFlag, ...]] = (BEAM_SIZE, NUM_BEST)
    noun: ClassVar[str] = "transcripts"

    def conflicts(self, config: ExperimentConfig) -> Iterator[tuple[str, str]]:
        """An image is read as a sequence."""
        yield from super().conflicts(config)
        if config.data.word("inputs") == "image":
            yield "data.inputs.reading", "must be columns or rows: transcripts need a sequence"

    def answer_settings(self, config: ExperimentConfig, flags: dict[str, Any]) -> Beam:
        """The beam search of the run; flags that are None keep its evaluation settings."""
        return make_beam(config.evaluation, config.data.lengths()["targets.max_length"], **flags)
