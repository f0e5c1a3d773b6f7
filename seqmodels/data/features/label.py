"""`label`: one class per row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from seqmodels.config.errors import UserError, suggest
from seqmodels.config.features import LabelConfig
from seqmodels.data.features.feature import ColumnSource, FeatureBase, Opened
from seqmodels.protocols import Part


class Label(FeatureBase):
    """The names of the classes 0, 1, ..

    Args:
      config: the column.
      class_names: in the order that the data set has, else sorted (whole numbers by their value).
      declared: whether the data set has them; then the training split may lack one.
    """

    kind: ClassVar[str] = "label"

    def __init__(
        self, config: LabelConfig, class_names: tuple[str, ...], *, declared: bool = False
    ) -> None:
        self.config, self.class_names, self._declared = config, class_names, declared

    @classmethod
    def open(cls, config: LabelConfig, source: ColumnSource, saved: Label | None) -> Opened:
        """Numbers the classes of all rows.

        Raises:
          UserError: a class that is not known.
        """
        found, declared = source.splits(), source.dataset.classes(source.column)
        names = declared
        if saved is not None:
            names = saved.class_names
            if others := [name for name in declared or () if name not in names]:
                count = f"{len(others)} class{'es' * (len(others) > 1)}"
                raise UserError(
                    f"data.name={source.name}: has {count} that the run was not trained on, such "
                    f"as {others[0]!r}; its classes are {', '.join(names)}"
                )
        elif names is None:
            names = tuple(sorted(set(map(str, found["train"])), key=order_of_name))
        feature = cls(config, names, declared=declared is not None)
        columns = {
            split: EncodedLabels(_number(column, names, declared, split, source))
            for split, column in found.items()
        }
        return Opened(feature, columns, start=f" {names}")

    def check_kept(
        self, column: Any, kept: np.ndarray, split: str, field: str, fresh: bool
    ) -> list[str]:
        """Reports classes without an example; refuses some that cannot be learned.

        Raises:
          UserError: the feature was fitted on this training split, and all examples of a class are
            too long, or there is only one class.
        """
        absent = np.setdiff1d(np.arange(len(self.class_names)), column.numbers[kept])
        names = [self.class_names[i] for i in absent]
        too_long = len(absent) > 0 and bool(np.isin(absent, column.numbers).any())
        if split != "train" or (self._declared and not too_long):
            return [f"class {name!r} has no example in the {split} split" for name in names]
        if names and fresh:
            there = [name for name in self.class_names if name not in names]
            why = "; the ones that it has are too long" * bool(absent[0] in column.numbers)
            raise UserError(
                f"{field}.column={self.config.column}: class {names[0]!r} has no example in the "
                f"train split; its classes are {', '.join(there)}{why}"
            )
        if len(self.class_names) == 1 and fresh:
            raise UserError(
                f"{field}.column={self.config.column}: all examples of the train split are of "
                f"class {self.class_names[0]!r}; there must be two classes or more"
            )
        return []

    def names(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.class_names

    def read(self, given: str) -> int:
        """The number of a class; raises UserError where it is not known."""
        if given not in self.class_names:
            raise UserError(f"class {given!r} is not known{suggest(given, self.class_names)}")
        return self.class_names.index(given)

    def batch(self, encoded: Sequence[int], rows: int) -> Part:
        """Numbers of classes."""
        values = np.zeros(rows, np.int32)
        values[: len(encoded)] = encoded
        return Part(values, None, (np.arange(rows) < len(encoded)).astype(np.float32))

    def show(self, values: np.ndarray, segment_ids: np.ndarray | None) -> str:
        """The name of a class."""
        del segment_ids
        return self.class_names[int(values)]

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `from_json` reads."""
        return {"kind": self.kind, "names": list(self.class_names)}

    @classmethod
    def from_json(cls, values: dict[str, Any], config: LabelConfig) -> Label:
        """Rebuilds the object that `to_json` wrote."""
        return cls(config, tuple(map(str, values["names"])))

    def summary(self) -> str:
        """The number of classes."""
        return f"{len(self.class_names)} classes"

    def description(self) -> dict[str, Any]:
        """Facts about it that a run records for its reader."""
        return {"num_classes": len(self.class_names)}


class EncodedLabels:
    """The classes of one split; see `feature.EncodedColumn`.

    Attributes:
      numbers: class of each row, int32 [n].
    """

    lengths: np.ndarray | None = None
    num_steps: np.ndarray | None = None
    unit = "class"

    def __init__(self, numbers: np.ndarray) -> None:
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def part(self, chosen: np.ndarray, width: int | None) -> Part:
        """Classes [b]."""
        del width
        real = chosen >= 0
        values = np.where(real, self.numbers[np.maximum(chosen, 0)], 0).astype(np.int32)
        return Part(values, None, real.astype(np.float32))

    def content(self, kept: np.ndarray) -> list[np.ndarray]:
        """The classes."""
        return [self.numbers[kept]]

    def sizes(self, kept: np.ndarray) -> dict[str, int]:
        """Nothing to count beside the rows."""
        del kept
        return {}


def order_of_name(name: str) -> tuple[int, str]:
    """A key that sorts whole numbers by their value, before other names."""
    return (int(name), name) if name.isascii() and name.isdecimal() else (1 << 62, name)


def _number(
    column: Any,
    names: tuple[str, ...],
    declared: tuple[str, ...] | None,
    split: str,
    source: ColumnSource,
) -> np.ndarray:
    """The classes of a split as int32 numbers in the order of `names`."""
    numbers = {name: number for number, name in enumerate(names)}
    if isinstance(column, np.ndarray) and column.dtype.kind in "iu":
        assert declared is not None
        there = np.array([numbers.get(name, -1) for name in declared], np.int32)
        found, shown = there[column], lambda row: declared[column[row]]
    else:
        for row, value in enumerate(column):
            if isinstance(value, list):
                where = source.dataset.locate(split, row)
                raise UserError(f"{where}: {source.column!r} is a list, not a class")
        found = np.array([numbers.get(str(name), -1) for name in column], np.int32)
        shown = lambda row: str(column[row])
    if (found < 0).any():
        first = int(np.flatnonzero(found < 0)[0])
        raise UserError(
            f"{source.dataset.locate(split, first)}: class {shown(first)!r} is not known"
            f"{suggest(shown(first), names)}"
        )
    return found
