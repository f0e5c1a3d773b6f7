"""The protocols of features, of batches and of the rows of an evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from seqmodels.types import Batch, DataSpec, Tokenizer


@dataclasses.dataclass(frozen=True)
class Part:
    """The rows of a batch that one feature makes.

    Attributes:
      values: [b, ...]; a row without an example is zero.
      segment_ids: [b, T] int32, 1 at a step and 0 at padding; None where there are no steps.
      mask: [b] float32, 1 where a row has an example.
    """

    values: np.ndarray
    segment_ids: np.ndarray | None
    mask: np.ndarray


@runtime_checkable
class Feature(Protocol):
    """A modality, fitted on the training split: what maps between raw values and arrays.

    `seqmodels.data.features.feature.FeatureBase` has the defaults.

    Attributes:
      config: its settings, a `FeatureConfig`.
      kind: its name in the registry.
      given: what `predict` is given for it, a `line` of text or a `file`.
      key: what an answer calls what it was given.
      is_aligned: whether it has as many steps as the inputs.
      num_steps: steps that every row has; None where rows differ, or have none.
      tokenizer: what maps between text and tokens, where it has that.
    """

    config: Any
    kind: ClassVar[str]
    given: ClassVar[str]
    key: ClassVar[str]
    is_aligned: ClassVar[bool]

    @property
    def num_steps(self) -> int | None: ...

    @property
    def tokenizer(self) -> Tokenizer | None: ...

    @property
    def input(self) -> Any:
        """Its shape as a model reads it, an `Input`. Raises TypeError where no model does."""
        ...

    def names(self) -> tuple[str, ...]:
        """Names of the classes, where it has some."""
        ...

    def read(self, given: str) -> Any:
        """Encodes a line, or the file of that name, of the user's. Raises UserError."""
        ...

    def batch(self, encoded: Sequence[Any], rows: int) -> Part:
        """Rows of what `read` returned, padded to few different widths."""
        ...

    def facts(self, encoded: Any) -> dict[str, Any]:
        """Facts about an input that are added to its answer."""
        ...

    def check(self, column: Any, split: str, field: str, locate: Callable[[int], str]) -> list[str]:
        """Lines for the user about a column. Raises UserError where a row is at fault."""
        ...

    def check_kept(
        self, column: Any, kept: np.ndarray, split: str, field: str, fresh: bool
    ) -> list[str]:
        """The same about the rows that are used; `fresh` where the feature was fitted on them."""
        ...

    def show(self, values: np.ndarray, segment_ids: np.ndarray | None) -> str:
        """A row of a batch as text."""
        ...

    def labels(self, values: np.ndarray) -> list[str]:
        """A name for each step of a row without padding."""
        ...

    def picture(self, values: np.ndarray) -> np.ndarray | None:
        """The image [H, W, C] that a row shows; None where it is not one."""
        ...

    def to_json(self) -> dict[str, Any]:
        """All that there is to it."""
        ...

    def summary(self) -> str:
        """The feature in a few words."""
        ...

    def description(self) -> dict[str, Any]:
        """Facts about it that a run records for its reader."""
        ...


Features = Mapping[str, Feature]
"""Role (inputs, targets, source) -> feature."""


@runtime_checkable
class BatchSource(Protocol):
    """The batches of one split; a batch depends on the settings, the seed and its step alone.

    Attributes:
      batch_size: B, global.
      batches_per_epoch: the same every epoch.
      carries_state: row r of a batch continues where row r of the batch before it ended, so the
        model's carry runs on from step to step.
      shapes: every shape that a batch can have, at most 8: B and the lengths.
    """

    batch_size: int
    batches_per_epoch: int
    carries_state: bool
    shapes: tuple[tuple[int, ...], ...]

    def position(self, step: int) -> tuple[int, int]:
        """Returns epoch and index in it, both from 0; steps count from 1."""
        ...

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        """Returns `rows` of the batch that turns state step - 1 into state step, in numpy."""
        ...


@runtime_checkable
class Rows(Protocol):
    """The rows of an evaluation, in batches.

    Attributes:
      num_batches: how many.
      num_bytes: UTF-8 bytes of the targets yielded so far; None where they are not known.
      context: what a model sees before a target; None where that is not a matter of choice.
      num_streams: rows that continue where they ended in the batch before; None where none do.
    """

    num_batches: int
    num_bytes: float | None
    context: str | None
    num_streams: int | None

    def batches(self, multiple: int) -> Iterator[tuple[Batch, bool]]:
        """Yields batches, padded to a multiple of `multiple` rows, and whether the rows start here
        instead of continuing from the batch before."""
        ...


@runtime_checkable
class Data(Protocol):
    """The data of an experiment, opened: columns, encoded by features, ready for batches."""

    @property
    def spec(self) -> DataSpec:
        """The shape of a model's inputs and outputs, which the data decide."""
        ...

    @property
    def features(self) -> Features:
        """Made from the training split, or the run's."""
        ...

    @property
    def features_file(self) -> str:
        """The name of the file in which a run keeps the features."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash of all examples and the features."""
        ...

    @property
    def splits(self) -> Mapping[str, Any]:
        """`train`, and `validation` and `test` where the data set has them."""
        ...

    @property
    def where(self) -> str:
        """The place where the prepared data are kept."""
        ...

    @property
    def notes(self) -> list[str]:
        """Lines for the user about the data."""
        ...

    def check_split(self, split: str) -> None:
        """Raises UserError where there is no such split, or none with a target."""
        ...

    def check_model(self, kind: str, limit: int | None, evaluation: Any) -> None:
        """Raises UserError where a model of at most `limit` positions cannot be evaluated so."""
        ...

    def batches(self, config: Any, split: str = "train") -> BatchSource:
        """Returns the batches of a split, a function of the step (law 2)."""
        ...

    def rows(self, split: str, evaluation: Any, seed: int) -> Rows:
        """Returns the rows of an evaluation: every target of a split once."""
        ...

    def save_features(self, path: Path) -> None:
        """Writes the features to a file, whole or not at all."""
        ...

    def summary(self) -> str:
        """The features in a few words."""
        ...

    def description(self) -> dict[str, Any]:
        """Facts that a run records: `fingerprint`, `splits` (name -> what -> how many), ..."""
        ...
