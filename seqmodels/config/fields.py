"""Ranges and choices, declared on the config fields that they belong to. Imports no jax."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

_RANGE, _CHOICES = "range", "choices"


@dataclasses.dataclass(frozen=True)
class Range:
    """Finite numbers between bounds; a bound of None does not limit.

    Attributes:
      least: smallest number allowed.
      above: largest number that is too small.
      most: largest number allowed.
      below: smallest number that is too large.
    """

    least: int | float | None = None
    above: int | float | None = None
    most: int | float | None = None
    below: int | float | None = None

    def __contains__(self, value: int | float) -> bool:
        return (
            math.isfinite(value)
            and (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        if self == Range():
            return "a finite number"
        if self == Range(least=self.least):
            return f"{self.least} or more"
        if self == Range(least=self.least, most=self.most):
            return f"from {self.least} to {self.most}"
        words = {
            "at least": self.least,
            "above": self.above,
            "at most": self.most,
            "below": self.below,
        }
        return " and ".join(f"{word} {bound}" for word, bound in words.items() if bound is not None)


def number(
    default: int | float | None,
    *,
    least: int | float | None = None,
    above: int | float | None = None,
    most: int | float | None = None,
    below: int | float | None = None,
) -> Any:
    """A dataclass field that holds a number of a range; None needs no range."""
    allowed = Range(least, above, most, below)
    return dataclasses.field(default=default, metadata={_RANGE: allowed})


def fraction(default: int | float | None) -> Any:
    """A dataclass field that holds a number of at least 0 and below 1."""
    return number(default, least=0, below=1)


def range_of(section: Any, name: str, kind: type) -> Range:
    """The range of the field `name` of a config section.

    A field that declares none holds a finite number and, where `kind` is int, 1 or more.
    """
    (field,) = (field for field in dataclasses.fields(section) if field.name == name)
    return field.metadata.get(_RANGE, Range(least=1) if kind is int else Range())


def choice(default: str, names: Iterable[str]) -> Any:
    """A dataclass field that holds one of several names."""
    return dataclasses.field(default=default, metadata={_CHOICES: tuple(names)})


def choices_of(section: Any, name: str) -> tuple[str, ...]:
    """The names that the field `name` of a config section may hold; empty if not declared."""
    (field,) = (field for field in dataclasses.fields(section) if field.name == name)
    return field.metadata.get(_CHOICES, ())
