"""The base of the diagnostics: made-up problems, each of which asks for one thing."""

from __future__ import annotations

import abc
import hashlib
import itertools
from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np

from seqmodels.config.data import DataConfig
from seqmodels.data import order
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits, hash_fraction

COUNTS = {"train": 40_000, "validation": 1_000, "test": 2_000, "longer": 2_000}
"""Examples of each split. `longer` has lengths that no other split has."""
NO_TARGET = "."
"""The tag of a step at which nothing is asked."""
ANSWER = "="
"""The token of a step at which a symbol of the answer is due."""
_HELD_OUT = {"validation": (0.0, 0.1), "test": (0.1, 0.2), "train": (0.2, 1.0)}
_SAMPLE = 4  # examples of each split that the fingerprint includes
Item = TypeVar("Item")


class Draws:
    """Random choices from the stream of (purpose, index).

    Args:
      purpose: the use.
      index: number of the example.
      size: the most choices.
    """

    def __init__(self, purpose: str, index: int, size: int) -> None:
        self._left = iter(order.draw(0, purpose, index, size).tolist())

    def below(self, bound: int) -> int:
        """A number of 0..bound - 1; the bias is below bound / 2**64."""
        return next(self._left) % bound

    def pick(self, choices: Sequence[Item]) -> Item:
        """One of the choices."""
        return choices[self.below(len(choices))]

    def picks(self, choices: Sequence[Item], count: int) -> list[Item]:
        """Some choices, of which any may be equal."""
        return [choices[self.below(len(choices))] for _ in range(count)]

    def distinct(self, size: int, count: int) -> list[int]:
        """Some different numbers of 0..size - 1."""
        taken: dict[int, int] = {}
        found = []
        for place in range(count):  # a shuffle that stops early
            at = place + self.below(size - place)
            found.append(taken.get(at, at))
            taken[at] = taken.get(place, place)
        return found

    def fraction(self) -> float:
        """A number in [0, 1) of 53 bits."""
        return (next(self._left) >> 11) * 2.0**-53


class Diagnostic(BuiltInDataset):
    """Example i of a split is a function of i and of the size.

    Columns: those of `columns`, inputs and targets.

    Args:
      size: the longest length of training, in the unit of the problem.

    Class attributes:
      name: in the registry.
      columns: names of the inputs and the targets.
      size: the default.
      shortest: the least length of training; 0 = all have the length `size`.
      reach: the split `longer` has lengths from size + 1 to reach * size.
      answers: names of the classes or tags.
    """

    name: ClassVar[str] = ""
    columns: ClassVar[tuple[str, str]] = ("text", "label")
    size: ClassVar[int] = 40
    shortest: ClassVar[int] = 1
    reach: ClassVar[int] = 5
    answers: ClassVar[tuple[str, ...]] = ()

    def __init__(self, size: int | None = None) -> None:
        self._size = type(self).size if size is None else size
        self.description = f"{self.name.replace('_', ' ')}, made up"

    @classmethod
    def open(cls, config: DataConfig) -> Diagnostic:
        _, colon, size = config.name.partition(":")
        return cls(int(size)) if colon else cls()

    @abc.abstractmethod
    def make(self, length: int, draws: Draws) -> tuple[Any, Any]:
        """Makes an example of a length: inputs and target."""

    def chance(self) -> dict[str, Any]:
        """The figures of the best guess that remembers nothing, exactly.

        Returns:
          model (its name), loss and, of classes, accuracy. By default all answers are equally
          likely: loss = ln C, accuracy = 1 / C.
        """
        size = len(self.answers)
        return {"model": "chance", "loss": float(np.log(size)), "accuracy": 1 / size}

    def lengths(self, split: str) -> tuple[int, int]:
        """The least and the greatest length of a split."""
        if split == "longer":
            return self._size + 1, self.reach * self._size
        return self.shortest or self._size, self._size

    def fingerprint(self) -> str:
        rule = (self.name, self._size, COUNTS, self.answers, 1)
        digest = hashlib.sha256(repr(rule).encode())
        for split in COUNTS:
            for part in itertools.chain(*self.examples(split, _SAMPLE)):
                text = isinstance(part, str)
                digest.update(part.encode() if text else np.asarray(part).tobytes())
        return digest.hexdigest()

    def splits(self) -> Splits:
        found: Splits = {}
        for split, count in COUNTS.items():
            inputs, targets = zip(*self.examples(split, count), strict=True)
            found[split] = dict(zip(self.columns, (list(inputs), list(targets)), strict=True))
        return found

    def examples(self, split: str, count: int) -> list[tuple[Any, Any]]:
        """The first examples of a split."""
        return [self._example(split, index) for index in range(count)]

    def _example(self, split: str, index: int) -> tuple[Any, Any]:
        """Tries until the inputs belong to the split, so that none is in two."""
        least, most = self.lengths(split)
        attempt = 0
        while True:
            purpose = f"{self.name} {self._size} of {split}, attempt {attempt}"
            draws = Draws(purpose, index, 4 * most + 64)  # more than any takes
            length = least + draws.below(most - least + 1)
            inputs, target = self.make(length, draws)
            if self.belongs(split, inputs):
                return inputs, target
            attempt += 1

    def belongs(self, split: str, inputs: Any) -> bool:
        """Whether inputs may be in a split: a text is in one, by its hash."""
        if split == "longer":
            return True
        first, end = _HELD_OUT[split]
        return first <= hash_fraction(inputs) < end

    def classes(self, column: str) -> tuple[str, ...] | None:
        return self.answers if column == self.columns[1] else None
