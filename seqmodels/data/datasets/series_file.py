"""`series_file`: the user's own series, in CSV or TSV files with a row per time."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.config.data import DataConfig, GapPolicy
from seqmodels.config.errors import UserError, suggest
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits
from seqmodels.data.datasets.own_files import OwnFiles, digest_files
from seqmodels.data.datasets.series import Series, cut_by_fractions, forward_fill
from seqmodels.data.datasets.table import split_rows
from seqmodels.files import find_file_of

ENDINGS = (".csv", ".tsv")
ALL = "values"
"""The name of a column that is all of a file's, but for the times."""
_MISSING = ("", "nan", "na", "null", "none")
_MONTH = (28, 31)
"""Fewest and most days of a month."""


class SeriesFile(BuiltInDataset):
    """One file, cut in the order of time, or a file per split.

    Columns: names of value columns, separated by commas; `values` is all but data.time_column.

    Raises:
      UserError: the fields contradict each other, or a path does not lead to one such file.
    """

    def __init__(self, config: DataConfig) -> None:
        self._config = config
        self._own = OwnFiles.of(config, f"a {' or '.join(ENDINGS)} file", needs_validation=True)
        self._files = {
            field: find_file_of(f"data.{field}", path, ENDINGS)
            for field, path in self._own.paths.items()
        }
        self.description = ", ".join(map(str, self._files.values()))

    @classmethod
    def open(cls, config: DataConfig) -> SeriesFile:
        return cls(config)

    def fingerprint(self) -> str:
        how = (self._own.fractions, self._config.columns(), self._config.time_column)
        return digest_files(repr((how, str(self._config.gaps), 1)), self._files)

    def splits(self) -> Splits:
        """Reads the wanted columns; see `read_series`.

        Raises:
          UserError: names the file, the line and the column at fault.
        """
        columns = self._config.columns()
        return {
            split: {column: [part[column]] for column in columns.values()}
            for split, part in self._arrange(columns).items()
        }

    def _arrange(self, columns: dict[str, str]) -> dict[str, dict[str, Series]]:
        found = {
            path_field: {
                column: read_series(file, column, self._config, f"data.{field}")
                for field, column in columns.items()
            }
            for path_field, file in self._files.items()
        }
        return self._own.arrange(found, _cut)

    def locate(self, split: str, row: int) -> str:
        del row
        file = self._own.paths.get(f"{split}_path", self._own.paths[self._own.train_field])
        return f"{file}, the {split} split"


def _cut(whole: dict[str, Series], validation: float, test: float) -> dict[str, dict[str, Series]]:
    parts = {name: cut_by_fractions(one, validation, test) for name, one in whole.items()}
    splits = next(iter(parts.values()))
    return {split: {name: part[split] for name, part in parts.items()} for split in splits}


@dataclasses.dataclass(frozen=True)
class _Row:
    """A row of a file: its line, its time and its values."""

    line: int
    time: Any
    values: list[float]


def read_series(file: Path, column: str, config: DataConfig, field: str) -> Series:
    """Reads columns of a file as one series.

    The first line names the columns. Where there are times, they rise by equal steps (or by
    calendar months); rows that are missing become missing values.

    Args:
      column: names of the value columns, separated by commas; ALL is all but the times.
      config: time_column and gaps.
      field: the field of the config that holds `column`, for messages.

    Raises:
      UserError: names the line at fault: times that are doubled or out of order, a cell that is
        not a number, a missing value that data.gaps=refuse does not allow.
    """
    lines = split_rows(file)
    header = next((row for _, row in lines), None)
    if header is None:
        raise UserError(f"{file}: has no line with the names of its columns")
    names = [name.strip() for name in header]
    channels = _choose(names, column, config.time_column, file, field)
    rows = []
    for line, cells in lines:
        if len(cells) != len(names):
            raise UserError(
                f"{file}, line {line}: {len(cells)} fields, where the first line has {len(names)}"
            )
        rows.append(_read_row(file, line, dict(zip(names, cells, strict=True)), channels, config))
    if not rows:
        raise UserError(f"{file}: has no line after the names of its columns")
    values, times = _on_a_grid(file, rows, config)
    if config.gaps is GapPolicy.FORWARD_FILL:
        values = forward_fill(values)
        if np.isnan(values).any():
            name = channels[int(np.isnan(values).any(axis=0).argmax())]
            raise UserError(
                f"{file}, column {name!r}: begins with a missing value, which "
                "data.gaps=forward_fill cannot fill"
            )
    return Series(values, tuple(channels), times=times)


def _choose(
    names: list[str], column: str, time_column: str | None, file: Path, field: str
) -> list[str]:
    """The names of the value columns."""
    own = [name for name in names if name != time_column]
    wanted = [name.strip() for name in column.split(",")]
    if wanted == [ALL] and ALL not in names:
        wanted = own
    asked = [("data.time_column", time_column)] if time_column is not None else []
    for place, name in [*asked, *((field, name) for name in wanted)]:
        if name not in names:
            near = suggest(str(name), names)
            raise UserError(f"{place}={name}: {file} has no such column{near}")
        if names.count(name) > 1:
            raise UserError(f"{place}={name}: {file} has {names.count(name)} columns of that name")
        if place == field and name == time_column:
            raise UserError(f"{field}={name}: is data.time_column, which holds the times")
    if not wanted:
        raise UserError(f"{file}: has no column but {time_column}, which holds the times")
    return wanted


def _read_row(
    file: Path, line: int, cells: dict[str, str], channels: list[str], config: DataConfig
) -> _Row:
    values = []
    for name in channels:
        text, where = cells[name].strip(), f"{file}, line {line}, column {name!r}"
        if text.lower() in _MISSING:
            if config.gaps is GapPolicy.REFUSE:
                raise UserError(
                    f"{where}: has no value, and data.gaps=refuse; forward_fill or mask accepts it"
                )
            values.append(math.nan)
            continue
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not abs(value) <= np.finfo(np.float32).max:
            near = ", and is the column of times data.time_column?" if _is_date(text) else ""
            hint = "" if near else "; data.inputs.column=A,B reads the columns A and B alone"
            raise UserError(f"{where}: {text[:40]!r} is not a finite number{near or hint}")
        values.append(value)
    if config.time_column is None:
        return _Row(line, None, values)
    text = cells[config.time_column].strip()
    try:
        return _Row(line, read_time(text), values)
    except ValueError:
        raise UserError(
            f"{file}, line {line}, column {config.time_column!r}: {text[:40]!r} is not a time: "
            "a date of ISO 8601, such as 2016-07-01 or 2016-07-01T13:00, or a number"
        ) from None


def _is_date(text: str) -> bool:
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def read_time(text: str) -> Any:
    """A number, or a date; raises ValueError where it is neither."""
    try:
        number = float(text)
    except ValueError:
        return datetime.datetime.fromisoformat(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _on_a_grid(
    file: Path, rows: Sequence[_Row], config: DataConfig
) -> tuple[np.ndarray, list[Any] | None]:
    """Values with NaN where a time is missing, and all times."""
    values = np.array([row.values for row in rows])
    if config.time_column is None or len(rows) < 2:
        return values, None if config.time_column is None else [row.time for row in rows]
    for before, row in itertools.pairwise(rows):
        where = f"{file}, line {row.line}"
        try:
            if row.time == before.time:
                raise UserError(f"{where}: the time {row.time} is that of line {before.line} too")
            if row.time < before.time:
                raise UserError(f"{where}: the time {row.time} is before {before.time}")
        except TypeError:
            raise UserError(
                f"{where}: the time {row.time} cannot be compared with {before.time}"
            ) from None
    times = [row.time for row in rows]
    places = _places(times)
    for place, before, row in zip(np.diff(places), rows, rows[1:], strict=False):
        if place > 1 and config.gaps is GapPolicy.REFUSE:
            count = f"{place - 1} time{'s are' if place > 2 else ' is'}"
            raise UserError(
                f"{file}, line {row.line}: {count} missing between {before.time} and {row.time}, "
                "and data.gaps=refuse; forward_fill or mask accepts it"
            )
    full = np.full((places[-1] + 1, values.shape[1]), np.nan)
    full[places] = values
    if len(full) == len(values):
        return values, times
    known = dict(zip(places.tolist(), times, strict=True))
    found, following = [], next_time(times)
    for place in range(len(full)):
        found.append(known[place] if place in known else following(found[-1]))
    return full, found


def _places(times: Sequence[Any]) -> np.ndarray:
    """The number of each time on a grid of equal steps, from 0."""
    if _is_monthly(times):
        months = np.array([time.year * 12 + time.month for time in times])
        return months - months[0]
    steps = [b - a for a, b in itertools.pairwise(times)]
    step = _step(times)
    return np.concatenate([[0], np.cumsum([max(1, round(gap / step)) for gap in steps])])


def _step(times: Sequence[Any]) -> Any:
    """The most frequent difference of neighbours, the shortest of several."""
    counts = Counter(b - a for a, b in itertools.pairwise(times))
    most = max(counts.values())
    return min(step for step, count in counts.items() if count == most)


def _is_monthly(times: Sequence[Any]) -> bool:
    if not isinstance(times[0], datetime.datetime):
        return False
    return len({time.day for time in times}) == 1 and _MONTH[0] <= _step(times).days <= _MONTH[1]


def next_time(times: Sequence[Any]) -> Callable[[Any], Any]:
    """Returns a function from a time to the following one, on the grid of `times`."""
    if not _is_monthly(times):
        step = _step(times)
        return lambda time: time + step

    def following(time: datetime.datetime) -> datetime.datetime:
        months = time.year * 12 + time.month
        return time.replace(year=months // 12, month=months % 12 + 1)

    return following
