"""A column of a data set on its way to batches."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.data.datasets.dataset import Dataset, ImageColumn, Splits
from seqmodels.protocols import Feature, Part
from seqmodels.types import Tokenizer

PADDING = -1
"""The number of a row without an example: weight 0."""


@dataclasses.dataclass(frozen=True)
class ColumnSource:
    """A column of a data set.

    Attributes:
      name: of the data set, as the config has it.
      dataset: where it comes from.
      column: its name.
      role: which it has in the data.
      cache: directory for what is made of it.
      read: returns all columns of all splits; kept, so that the data set is read once.
    """

    name: str
    dataset: Dataset
    column: str
    role: str
    cache: Path
    read: Callable[[], Splits]

    @property
    def field(self) -> str:
        """The field of the config that names it."""
        return f"data.{self.role}.column={self.column}"

    def fingerprint(self) -> str:
        """A hash of all that decides the column; cheap."""
        return f"{self.dataset.fingerprint()} {self.column}"

    def splits(self) -> dict[str, Any]:
        """The column of each split; raises UserError where it has images."""
        found = self._splits()
        if any(isinstance(column, ImageColumn) for column in found.values()):
            raise UserError(f"{self.field}: this column holds images")
        return found

    def images(self) -> tuple[dict[str, ImageColumn], str]:
        """The column of each split, and a hash of all that decides the data set with its images.

        Raises:
          UserError: it has something else than images or names of files, or a file is missing.
        """
        found, digests = self._splits(), [self.dataset.fingerprint()]
        for split, column in found.items():
            if isinstance(column, ImageColumn):
                continue
            files = self.dataset.open_images(split, self.column, column)
            if files is None:
                raise UserError(f"{self.field}: this column does not hold images")
            found[split] = files
            digests.append(files.digest())
        if len(digests) == 1:
            return found, digests[0]
        return found, hashlib.sha256(" ".join(digests).encode()).hexdigest()

    def _splits(self) -> dict[str, Any]:
        return {split: columns[self.column] for split, columns in self.read().items()}


@runtime_checkable
class EncodedColumn(Protocol):
    """A column of one split, as arrays.

    Attributes:
      lengths: steps of each row that a batch has, [n]; None where rows have no steps.
      num_steps: the same before anything is added or cut.
      unit: what a step is, in a word.
    """

    lengths: np.ndarray | None
    num_steps: np.ndarray | None
    unit: str

    def __len__(self) -> int:
        """The number of rows."""
        ...

    def part(self, chosen: np.ndarray, width: int | None) -> Part:
        """The rows `chosen` [b], padded to `width` steps; PADDING makes an empty row."""
        ...

    def content(self, kept: np.ndarray) -> list[np.ndarray]:
        """All that decides the rows `kept`, to be hashed."""
        ...

    def sizes(self, kept: np.ndarray) -> dict[str, int]:
        """Counts over the rows `kept`, by name."""
        ...


@dataclasses.dataclass(frozen=True)
class Opened:
    """A feature with its column of every split.

    Attributes:
      feature: fitted on the training split, or that of a run.
      columns: by split.
      digest: a hash of the content, or, where that is not kept in memory, of what decides it; empty
        where `start` and the columns' `content` are to be hashed.
      start: text of what the feature was fitted to.
      notes: lines for the user.
      where: where the arrays are kept.
      is_whole: the digest is that of the data set, so that it covers the other columns too.
    """

    feature: Feature
    columns: Mapping[str, EncodedColumn]
    digest: str = ""
    start: str = ""
    notes: list[str] = dataclasses.field(default_factory=list)
    where: str = ""
    is_whole: bool = False


class FeatureBase:
    """Defaults of all features."""

    kind: ClassVar[str] = ""
    given: ClassVar[str] = "line"
    key: ClassVar[str] = "text"
    """The name under which an answer has its input."""

    @classmethod
    def open_all(
        cls,
        configs: Mapping[str, Any],
        sources: Mapping[str, ColumnSource],
        saved: Mapping[str, Any],
        affixes: Mapping[str, tuple[str, ...]],
    ) -> dict[str, Opened]:
        """Opens the columns of all roles that are of this kind.

        Args:
          configs: settings by role.
          sources: columns by role.
          saved: features of a run by role, to be used instead of fitted ones; may be empty.
          affixes: by role, tokens that the task adds after the vocabulary.
        """
        del affixes
        return {
            role: cls.open(config, sources[role], saved.get(role))
            for role, config in configs.items()
        }

    @classmethod
    def open(cls, config: Any, source: ColumnSource, saved: Any) -> Opened:
        """Fits the feature on the training split unless `saved` has it, and encodes the column."""
        raise NotImplementedError

    @property
    def input(self) -> Any:
        """Its shape as a model reads it."""
        raise TypeError(f"no model reads a feature of kind {self.kind}")

    is_aligned: ClassVar[bool] = False
    """Whether it has as many steps as the inputs."""
    num_steps: int | None = None
    """Steps that every row has; None where rows differ, or have none."""
    tokenizer: Tokenizer | None = None
    """The map from text to tokens of a feature that has one."""

    def check(self, column: Any, split: str, field: str, locate: Callable[[int], str]) -> list[str]:
        """Lines for the user about a column.

        Args:
          field: the section of the config.
          locate: says where a row comes from.

        Raises:
          UserError: a row is at fault.
        """
        del column, split, field, locate
        return []

    def check_kept(
        self, column: Any, kept: np.ndarray, split: str, field: str, fresh: bool
    ) -> list[str]:
        """The same about the rows that are used; `fresh` where the feature was fitted on them."""
        del column, kept, split, field, fresh
        return []

    def facts(self, encoded: Any) -> dict[str, Any]:
        """Facts about an input that are added to its answer."""
        del encoded
        return {}

    def labels(self, values: np.ndarray) -> list[str]:
        """A name for each step of a row without padding: its number."""
        return [str(number) for number in range(len(values))]

    def picture(self, values: np.ndarray) -> np.ndarray | None:
        """The image [H, W, C] that a row shows; None where it is not one."""
        del values
        return None

    def names(self) -> tuple[str, ...]:
        """Names of the classes, for features that have some."""
        raise TypeError(f"a feature of kind {self.kind} has no classes")
