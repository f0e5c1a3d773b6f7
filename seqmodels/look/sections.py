"""Findings: numbers, pictures, and values to point at."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np


@dataclasses.dataclass
class Section:
    """One kind of finding.

    Attributes:
      name: as `--what` has it.
      title: heading for a person.
      text: what is shown and how it is computed, in a few sentences.
      numbers: for JSON; arrays are allowed.
      figures: name -> a function that makes a figure of matplotlib, which pickle can send to the
        process that draws.
      matrices: maps to point at.
      lines: values to point at, one per step.
      tables: to be shown.
      texts: blocks of plain text.
      columns: pictures side by side on a wide page.
    """

    name: str
    title: str
    text: str
    numbers: dict[str, Any] = dataclasses.field(default_factory=dict)
    figures: dict[str, Callable[[], Any]] = dataclasses.field(default_factory=dict)
    matrices: list[Matrix] = dataclasses.field(default_factory=list)
    lines: list[Line] = dataclasses.field(default_factory=list)
    tables: list[Table] = dataclasses.field(default_factory=list)
    texts: list[str] = dataclasses.field(default_factory=list)
    columns: int = 1

    def add_figure(self, name: str, make: Callable[..., Any], *args: Any, **keywords: Any) -> None:
        """Adds the figure that a function makes of arguments."""
        self.figures[name] = functools.partial(make, *args, **keywords)


@dataclasses.dataclass(frozen=True)
class Matrix:
    """A weight for each step and each step that it may look at.

    Attributes:
      name: of a layer and a head.
      rows, columns: labels.
      values: [rows, columns].
    """

    name: str
    rows: list[str]
    columns: list[str]
    values: np.ndarray


@dataclasses.dataclass(frozen=True)
class Line:
    """A number for each step.

    Attributes:
      name: with its unit.
      labels: of the steps.
      values: [T]; NaN where there is none.
    """

    name: str
    labels: list[str]
    values: np.ndarray


@dataclasses.dataclass(frozen=True)
class Table:
    """A small table: its title, the heads of its columns, and its rows of texts and numbers."""

    title: str
    heads: list[str]
    rows: list[list[Any]]


def plain(value: Any) -> Any:
    """Numbers and arrays as what JSON can hold; numbers that are not finite become None."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.ndarray):
        known = value.dtype.kind in "biu" or (value.dtype.kind == "f" and np.isfinite(value).all())
        return value.tolist() if known else plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, complex):
        return {"real": value.real, "imaginary": value.imag}
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
