"""The protocol of a task, and the questions that it answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from seqmodels.protocols.data import BatchSource, Data, Features, Part
from seqmodels.protocols.model import Model
from seqmodels.types import Batch, Carry, DataSpec, Metrics, Params

Evaluate = Callable[..., dict[str, Any]]
"""`evaluate(model, params, task=None, evaluation=None)` -> figures of the split in question."""


@dataclasses.dataclass(frozen=True)
class Given:
    """A user's own input.

    Attributes:
      text: a text, or the path of a file where the feature is given as files.
      target: the text that follows from it, for models that make one text of another; None = the
        model's own.
      limit: most steps of a text that are read.
    """

    text: str
    target: str | None = None
    limit: int = 256


@dataclasses.dataclass(frozen=True)
class Trial:
    """A model that is evaluated on a split.

    Attributes:
      model, params, features: of the run.
      data, split: what it is evaluated on.
      config: of the experiment, an `ExperimentConfig`.
      evaluate: the figures of other models, or of another task, on the same split.
      figures: those of the model on the split, as far as they are known.
    """

    model: Model
    params: Params
    features: Features
    data: Data
    split: str
    config: Any
    evaluate: Evaluate
    figures: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Example:
    """One row of a user's own, for looking inside a model.

    Attributes:
      batch: one row without padding.
      steps: a label for each step of the inputs, as a person reads it.
      source: the same of what an encoder reads; empty without one.
      targets: the same of the targets, where each step has one.
      picture: the image that a model reads, if it reads one.
    """

    batch: Batch
    steps: list[str]
    source: list[str] = dataclasses.field(default_factory=list)
    targets: list[str] = dataclasses.field(default_factory=list)
    picture: np.ndarray | None = None


@runtime_checkable
class Answerer(Protocol):
    """Answers what a user gives, a batch at a time.

    Attributes:
      batch_size: the most inputs at once.
    """

    batch_size: int

    def read(self, given: str) -> Any:
        """Encodes a line, or the file of that name. Raises UserError where it cannot."""
        ...

    def __call__(self, given: Sequence[str], encoded: Sequence[Any]) -> list[dict[str, Any]]:
        """An answer, which JSON can hold, for each of up to batch_size inputs."""
        ...


@runtime_checkable
class Task(Protocol):
    """One kind of problem: everything about it, before and after the loss.

    `seqmodels.tasks.task.Task` has the defaults.
    """

    @property
    def config(self) -> Any:
        """Its settings and declarations, a `TaskConfig`."""
        ...

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of the pairs of `forward` that training logs."""
        ...

    @property
    def rate_unit(self) -> str:
        """The unit that training counts per second, in one word."""
        ...

    def unit(self, features: Features) -> str:
        """The unit of the targets, in one word."""
        ...

    def affixes(self, role: str) -> tuple[str, ...]:
        """Tokens of its own that the feature of a role has after its vocabulary."""
        ...

    def make_spec(self, features: Features) -> DataSpec:
        """The shape of the model's inputs and outputs."""
        ...

    def make_batch(self, parts: Mapping[str, Part], features: Features) -> Batch:
        """The batch of the rows that the features made."""
        ...

    def check_rows(self, split: Any, features: Features, locate: Callable[[int], str]) -> None:
        """Raises UserError where examples of a split cannot be learned from."""
        ...

    def make_source(self, source: BatchSource, features: Features, seed: int) -> BatchSource:
        """The batches to train on."""
        ...

    def make_rows(self, batch: Batch, first: int, features: Features, seed: int) -> Batch:
        """The rows first, first + 1, .. of an evaluation."""
        ...

    def show(self, batch: Batch, row: int, features: Features) -> str:
        """A row as text."""
        ...

    def example(
        self, model: Model, params: Params, features: Features, config: Any, given: Given
    ) -> Example:
        """A user's own input as one row. Raises UserError where it cannot be read."""
        ...

    def rival(self, data: Data, config: Any) -> tuple[Model, Params] | None:
        """A counted model of the same targets, whose predictions are shown next to a run's."""
        ...

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
        """Summed loss, summed weights, metrics and the carry after the batch."""
        ...

    def summarize(
        self, sums: Mapping[str, tuple[Any, Any]], num_bytes: float | None
    ) -> dict[str, Any]:
        """The figures of the sums over a split."""
        ...

    def baseline(self, trial: Trial) -> dict[str, Any]:
        """The figures of what needs no training, on the same rows."""
        ...

    def evaluate_more(self, trial: Trial) -> dict[str, Any]:
        """Figures that the loss does not give."""
        ...

    def tables(self, result: dict[str, Any], unit: str) -> list[Any]:
        """A result for a person, to be printed by rich."""
        ...

    def draw(self, trial: Trial, stem: Path) -> list[Path]:
        """Writes pictures of a trial with figures, whose names begin with `stem`."""
        ...

    def save_answer(self, encoded: Any, answer: dict[str, Any], stem: Path) -> list[Path]:
        """Writes tables and pictures of an answer, whose names begin with `stem`."""
        ...

    def answerer(
        self,
        model: Model,
        params: Params,
        features: Features,
        config: Any,
        settings: Any,
        batch_size: int,
    ) -> Answerer:
        """An `Answerer` for a user's own inputs."""
        ...

    def stream_answerer(
        self, model: Model, params: Params, features: Features, batch_size: int
    ) -> Answerer:
        """An `Answerer` for the pieces of one text without end."""
        ...
