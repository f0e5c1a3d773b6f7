"""Typed settings of the task `regression`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from seqmodels.config.tasks import Metric, TaskConfig

if TYPE_CHECKING:
    from seqmodels.config.experiment import ExperimentConfig


@dataclasses.dataclass
class RegressionConfig(TaskConfig):
    """Real numbers for the whole of a sequence: the targets are values of one step."""

    kind: ClassVar[str] = "regression"
    roles: ClassVar[dict[str, tuple[str, ...]]] = {
        "inputs": ("tokens", "values", "image"),
        "targets": ("values",),
    }
    outputs: ClassVar[str] = "values"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("loss", "squared error per target"),
        Metric("absolute_error", "in the units of data.targets"),
    )
    answers: ClassVar[str | None] = "inputs"

    def conflicts(self, config: ExperimentConfig) -> Iterator[tuple[str, str]]:
        """Targets are of one step."""
        yield from super().conflicts(config)
        if config.data.lengths()["targets.max_length"] != 1:
            yield "data.targets.max_length", "must be 1: a regression takes the numbers of one step"
