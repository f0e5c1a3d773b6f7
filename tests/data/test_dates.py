"""Dates: written in sixteen formats that are unambiguous, each date in one split."""

from __future__ import annotations

import datetime
import itertools

import numpy as np

from seqmodels.data.datasets import dates
from seqmodels.data.datasets.dates import split_days, write
from tests.data.sets import digest_of, open_columns


def test_dates_are_written_in_their_formats() -> None:
    date = datetime.date(1999, 3, 3)
    written = [write(date, form) for form in dates._FORMATS]
    assert written == [
        "3 Mar 1999",
        "3 March 1999",
        "March 3, 1999",
        "March 3rd, 1999",
        "the 3rd of March 1999",
        "Wednesday, 3 March 1999",
        "Wed Mar 3 1999",
        "MAR 3 1999",
        "03-Mar-99",
        "Mar 3 '99",
        "03/03/99",
        "3/3/1999",
        "03.03.99",
        "3.3.1999",
        "1999/03/03",
        "19990303",
    ]
    endings = [write(datetime.date(2001, 1, day), "{ordinal}")[-2:] for day in (1, 2, 11, 13, 22)]
    assert endings == ["st", "nd", "th", "th", "nd"]


def test_no_text_means_two_dates() -> None:
    meanings: dict[str, datetime.date] = {}
    for number in itertools.chain(range(800), range(18_000, 18_800)):
        date = dates.FIRST + datetime.timedelta(days=number)
        for form in dates._FORMATS:
            assert meanings.setdefault(write(date, form), date) == date


def test_no_date_is_in_two_splits() -> None:
    days = split_days()
    assert sorted(np.concatenate(list(days.values()))) == list(range(36_525))
    dataset = open_columns("dates")
    pairs = dataset.splits()
    assert dataset.locate("test", 3) == "test pair 3"
    assert {name: len(columns["source"]) for name, columns in pairs.items()} == dates.NUM_PAIRS
    assert digest_of(pairs) == "bb9fdbe6faa01a8b"
    for one, other in itertools.combinations(pairs, 2):
        assert not set(pairs[one]["target"]) & set(pairs[other]["target"])
    assert tuple(column[0] for column in pairs["train"].values()) == (
        "the 20th of January 1963",
        "1963-01-20",
    )
