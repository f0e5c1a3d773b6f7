"""Columns of a table that a name asks for: one, or several that are numbers together.

`hours,lectures` are the numbers of one step, `t1..t140` the steps of a series, in the order of the
file. A column that has just this name comes first.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from seqmodels.config.errors import UserError, suggest

TO, AND = "..", ","


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of one name.

    Attributes:
      names: as the table has them.
      between: what the name has between them; empty of a single column.
    """

    names: tuple[str, ...]
    between: str

    def value(self, values: Sequence[Any], where: str) -> Any:
        """The value of a row: that of a single column, else numbers [T] or a step of them [1, D].

        Args:
          values: of the columns.
          where: file and line, for errors.

        Raises:
          UserError: one of several is not a finite number; names its column.
        """
        if not self.between:
            return values[0]
        pairs = zip(self.names, values, strict=True)
        numbers = [to_number(value, name, where) for name, value in pairs]
        return numbers if self.between == TO else [numbers]


def find_columns(wanted: str, known: Sequence[str], place: str, what: str = "column") -> Columns:
    """The columns of a name.

    Args:
      known: those of the table, in order.
      place: field and file, for errors.
      what: a column, in the words of the file.

    Raises:
      UserError: one of them is not there, there twice, or the second of a range is not later.
    """
    between = ""
    names = [wanted]
    if wanted not in known:
        between = next((mark for mark in (TO, AND) if mark in wanted), "")
        names = [part.strip() for part in wanted.split(between)] if between else names
    for name in names:
        if name not in known:
            which = repr(name) if between else "such"
            lacks = f"no {what} {which}" if between else f"no {which} {what}"
            raise UserError(f"{place} has {lacks}{suggest(name, known)}")
        if known.count(name) > 1:
            raise UserError(f"{place} has {known.count(name)} columns of that name")
    if between == TO:
        first, last = (known.index(names[0]), known.index(names[-1]))
        if len(names) != 2 or first >= last:
            raise UserError(f"{place} has no {what} {names[-1]!r} after {names[0]!r}")
        names = list(known[first : last + 1])
    return Columns(tuple(names), between)


def to_number(value: Any, name: str, where: str) -> float:
    """A finite number; raises UserError, which names the column, where a value is not one."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise UserError(f"{where}: column {name!r} is {value!r:.40}, not a finite number")
    return number
