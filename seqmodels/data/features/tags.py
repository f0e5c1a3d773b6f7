"""`tags`: a label for each step."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from seqmodels.config.errors import UserError, suggest
from seqmodels.config.features import TagsConfig
from seqmodels.data.features.feature import ColumnSource, FeatureBase, Opened
from seqmodels.data.features.label import order_of_name
from seqmodels.data.ragged import power_of_two, ranges, scatter_rows, segments_of
from seqmodels.protocols import Part

IGNORED = -1
"""The number of a step that is not a target."""


class Tags(FeatureBase):
    """The names of the labels 0, 1, ..; a row has as many as it has steps.

    Args:
      config: the column.
      tag_names: in the order that the data set has, else sorted.
    """

    kind: ClassVar[str] = "tags"
    is_aligned: ClassVar[bool] = True

    def __init__(self, config: TagsConfig, tag_names: tuple[str, ...]) -> None:
        self.config, self.tag_names = config, tag_names
        self._numbers = {name: number for number, name in enumerate(tag_names)}
        if config.ignored is not None:
            self._numbers[config.ignored] = IGNORED

    @classmethod
    def open(cls, config: TagsConfig, source: ColumnSource, saved: Tags | None) -> Opened:
        """Numbers the labels of all steps.

        Raises:
          UserError: a label of a held-out split that the training split lacks; a row without any.
        """
        found = {
            split: [split_tags(value, letters=config.letters) for value in column]
            for split, column in source.splits().items()
        }
        names = source.dataset.classes(source.column)
        if saved is not None:
            names = saved.tag_names
        elif names is None:
            there = set(itertools.chain(*found["train"])) - {config.ignored}
            names = tuple(sorted(there, key=order_of_name))
        feature = cls(config, names)
        columns = {split: feature._encode(rows, split, source) for split, rows in found.items()}
        return Opened(feature, columns, start=f" {names}")

    def _encode(self, rows: list[list[str]], split: str, source: ColumnSource) -> EncodedTags:
        numbers = []
        for row, tags in enumerate(rows):
            try:
                numbers.append(self._number(tags))
            except UserError as error:
                raise UserError(f"{source.dataset.locate(split, row)}: {error}") from None
        offsets = np.cumsum([0, *map(len, numbers)], dtype=np.int64)
        return EncodedTags(np.concatenate([np.zeros(0, np.int32), *numbers]), offsets)

    def names(self) -> tuple[str, ...]:
        """Names of the labels."""
        return self.tag_names

    def read(self, given: str) -> np.ndarray:
        """Numbers of labels, int32; raises UserError where one is not known, or there is none."""
        return self._number(split_tags(given, letters=self.config.letters))

    def _number(self, tags: list[str]) -> np.ndarray:
        for tag in tags:
            if tag not in self._numbers:
                raise UserError(f"label {tag!r} is not known{suggest(tag, self.tag_names)}")
        if not tags:
            raise UserError("has no label")
        return np.array([self._numbers[tag] for tag in tags], np.int32)

    def batch(self, encoded: Sequence[np.ndarray], rows: int) -> Part:
        """Rows of labels, padded to a power of two."""
        values = np.zeros((rows, power_of_two(max(map(len, encoded)))), np.int32)
        segments = np.zeros_like(values)
        for row, tags in enumerate(encoded):
            values[row, : len(tags)], segments[row, : len(tags)] = tags, 1
        return Part(values, segments, (np.arange(rows) < len(encoded)).astype(np.float32))

    def show(self, values: np.ndarray, segment_ids: np.ndarray | None) -> str:
        """The labels of a row, separated by spaces."""
        values = values if segment_ids is None else values[segment_ids > 0]
        names = (*self.tag_names, self.config.ignored or "")  # the last is that of IGNORED
        return " ".join(names[int(value)] for value in values)

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `from_json` reads."""
        return {"kind": self.kind, "names": list(self.tag_names)}

    @classmethod
    def from_json(cls, values: dict[str, Any], config: TagsConfig) -> Tags:
        """Rebuilds the object that `to_json` wrote."""
        return cls(config, tuple(map(str, values["names"])))

    def summary(self) -> str:
        """The number of labels."""
        return f"{len(self.tag_names)} labels"

    def description(self) -> dict[str, Any]:
        """Facts about it that a run records for its reader."""
        return {"num_labels": len(self.tag_names)}


class EncodedTags:
    """The labels of one split; see `feature.EncodedColumn`.

    Attributes:
      flat: labels of all steps of all rows, int32 [N].
      offsets: row i has flat[offsets[i]:offsets[i + 1]].
      lengths: those of the inputs, where these are cut.
    """

    unit = "label"

    def __init__(self, flat: np.ndarray, offsets: np.ndarray) -> None:
        self.flat, self.offsets = flat, offsets
        self.lengths: np.ndarray | None = np.diff(offsets)
        self.num_steps: np.ndarray | None = self.lengths

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def part(self, chosen: np.ndarray, width: int | None) -> Part:
        """Labels [b, width]."""
        assert width is not None
        assert self.lengths is not None
        values = scatter_rows(self.flat, self.offsets, self.lengths, chosen, width)
        mask = (chosen >= 0).astype(np.float32)
        return Part(values, segments_of(self.lengths, chosen, width), mask)

    def content(self, kept: np.ndarray) -> list[np.ndarray]:
        """The labels."""
        assert self.lengths is not None
        lengths = self.lengths[kept]
        return [self.flat[ranges(self.offsets[kept], lengths)], lengths]

    def sizes(self, kept: np.ndarray) -> dict[str, int]:
        """The number of labels, without those that are ignored."""
        labels, _ = self.content(kept)
        return {"labels": int((labels != IGNORED).sum())}


def split_tags(value: Any, *, letters: bool = False) -> list[str]:
    """The labels of a row: a list, or text with spaces between them, or of a letter each."""
    if not isinstance(value, str):
        return list(map(str, value))
    return list("".join(value.split())) if letters else value.split()
