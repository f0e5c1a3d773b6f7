"""`dates`: written dates and their ISO 8601 form. Built in; reads no file."""

from __future__ import annotations

import datetime
import hashlib

import numpy as np

from seqmodels.data import order
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits

FIRST, LAST = datetime.date(1950, 1, 1), datetime.date(2049, 12, 31)
"""A year of two digits means the one in these hundred."""
NUM_PAIRS = {"train": 20_000, "validation": 1_000, "test": 1_000}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FORMATS = (
    "{day} {mon} {year}",
    "{day} {month} {year}",
    "{month} {day}, {year}",
    "{month} {ordinal}, {year}",
    "the {ordinal} of {month} {year}",
    "{weekday}, {day} {month} {year}",
    "{wday} {mon} {day} {year}",
    "{MON} {day} {year}",
    "{day:02}-{mon}-{yy:02}",
    "{mon} {day} '{yy:02}",
    "{number:02}/{day:02}/{yy:02}",
    "{number}/{day}/{year}",
    "{day:02}.{number:02}.{yy:02}",
    "{day}.{number}.{year}",
    "{year}/{number:02}/{day:02}",
    "{year}{number:02}{day:02}",
)
"""Unambiguous: slashes mean month first unless a year comes first, dots mean day first."""


class Dates(BuiltInDataset):
    """Pair i of a split is a function of i: a date of the split's, in one of sixteen formats.

    Columns: source, target. A date belongs to one split, whatever its format: 5 of 100 to
    validation, 5 to test.
    """

    description = "dates, made up"

    def fingerprint(self) -> str:
        rule = (FIRST, LAST, NUM_PAIRS, _MONTHS, _DAYS, _FORMATS, 1)
        return hashlib.sha256(repr(rule).encode()).hexdigest()

    def splits(self) -> Splits:
        days = split_days()
        return {split: _draw(split, days[split], count) for split, count in NUM_PAIRS.items()}

    def locate(self, split: str, row: int) -> str:
        return f"{split} pair {row}"


def split_days() -> dict[str, np.ndarray]:
    """Returns the days of each split, counted from FIRST."""
    number = (LAST - FIRST).days + 1
    lot = order.draw(0, "split of dates", 0, number) % np.uint64(20)
    return {
        "train": np.flatnonzero(lot > 1),
        "validation": np.flatnonzero(lot == 0),
        "test": np.flatnonzero(lot == 1),
    }


def _draw(split: str, days: np.ndarray, count: int) -> dict[str, list[str]]:
    draws = order.draw(0, f"dates of {split}", 0, 2 * count).reshape(count, 2)
    chosen = days[draws[:, 0] % np.uint64(len(days))].tolist()
    formats = (draws[:, 1] % np.uint64(len(_FORMATS))).tolist()
    dates = [FIRST + datetime.timedelta(days=day) for day in chosen]
    sources = [write(date, _FORMATS[f]) for date, f in zip(dates, formats, strict=True)]
    return {"source": sources, "target": [date.isoformat() for date in dates]}


def write(date: datetime.date, form: str) -> str:
    """Writes a date in a format; in English, whatever the locale."""
    month, weekday, day = _MONTHS[date.month - 1], _DAYS[date.weekday()], date.day
    ending = "th" if 11 <= day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return form.format(
        year=date.year,
        yy=date.year % 100,
        number=date.month,
        month=month,
        mon=month[:3],
        MON=month[:3].upper(),
        weekday=weekday,
        wday=weekday[:3],
        day=day,
        ordinal=f"{day}{ending}",
    )
