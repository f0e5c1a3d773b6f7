"""Series over time: the generated ones, the published ones, and the user's files."""

from __future__ import annotations

import hashlib
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqmodels.config.data import ExamplesDataConfig, GapPolicy
from seqmodels.config.forecasting import WindowsConfig
from seqmodels.data.common import open_dataset
from seqmodels.data.datasets import ball, seasonal
from seqmodels.data.datasets.series import Series, cut_by_fractions, forward_fill
from tests.data.sets import mistake

DIGESTS = {"ball": "b8a38a3fdcecd022", "seasonal": "ccd9c3241e8f0339"}
"""Of the values: the same on every Python, or results could not be compared."""
NAN = math.nan


def open_series(name: str, column: str = "values", **fields: Any) -> Any:
    return open_dataset(ExamplesDataConfig(name, inputs=WindowsConfig(column=column), **fields))


def test_generated_series_are_the_same_everywhere() -> None:
    for name, pinned in DIGESTS.items():
        found = hashlib.sha256()
        for split, columns in open_series(name).splits().items():
            for series in columns["values"]:
                found.update(f"{split} {series.first} ".encode() + series.values.tobytes())
        assert found.hexdigest()[:16] == pinned, name


def test_a_ball_flies_straight_and_is_reflected_at_the_walls() -> None:
    places = ball.fly(np.arange(50))
    assert (places >= ball.RADIUS).all() and (places <= 1 - ball.RADIUS).all()
    turns = np.abs(np.diff(places, n=2, axis=1)) > 1e-9
    # Between two walls the speed of a coordinate is one number.
    speeds = np.abs(np.diff(places, axis=1))
    fast = speeds.max(axis=1)
    assert turns.any() and turns.mean() < 0.2
    assert np.allclose(speeds[:, :-1][~turns], np.repeat(fast[:, None], 58, axis=1)[~turns])


def test_a_seasonal_series_repeats_a_day_and_a_week() -> None:
    values = seasonal.make_values()
    assert values.shape == (26 * 168, 3)
    near = [np.abs(values[lag:] - values[:-lag]).mean() for lag in (168, 24, 12)]
    assert near[0] < near[1] < near[2]
    assert not np.allclose(values[:2000].mean(axis=0), values[-2000:].mean(axis=0), atol=0.05)


def test_splits_follow_each_other_and_may_look_back() -> None:
    series = Series(np.arange(20.0)[:, None], ("x",), times=list(range(20)))
    cut = cut_by_fractions(series, 0.2, 0.1)
    found = {split: (one.first, len(one.values), len(one.times)) for split, one in cut.items()}
    assert found == {"train": (0, 14, 14), "validation": (14, 18, 18), "test": (18, 20, 20)}
    assert list(cut_by_fractions(series, 0.2, 0.0)) == ["train", "validation"]


def test_gaps_are_filled_with_the_value_before() -> None:
    given = np.array([[NAN, 1.0], [2.0, NAN], [NAN, NAN], [3.0, 4.0]])
    expected = [[NAN, 1.0], [2.0, 1.0], [2.0, 1.0], [3.0, 4.0]]
    np.testing.assert_array_equal(forward_fill(given), expected)


HOURS = ["2016-07-01 00:00", "2016-07-01 01:00", "2016-07-01 03:00", "2016-07-01 04:00"]


def write(path: Path, rows: list[str], head: str = "date,load,heat") -> str:
    path.write_text("\n".join([head, *rows]) + "\n")
    return str(path)


def read(path: str, column: str = "values", **fields: Any) -> Series:
    fields = {"time_column": "date", **fields}
    (series,) = open_series("series_file", column, test_path=path, **fields).splits()["test"][
        column
    ]
    return series


def test_a_file_is_a_series_and_its_gaps_are_kept_by_policy(tmp_path: Path) -> None:
    """A missing row, and a missing cell, by each policy."""
    rows = [f"{time},{n},{n}.5" for n, time in enumerate(HOURS)]
    rows[3] = f"{HOURS[3]},,3.5"
    path = write(tmp_path / "a.csv", rows)
    masked = read(path, gaps=GapPolicy.MASK)
    assert masked.channels == ("load", "heat") and len(masked.times) == 5
    assert str(masked.times[2]) == "2016-07-01 02:00:00"
    expected = np.array([[0, 0.5], [1, 1.5], [NAN, NAN], [2, 2.5], [NAN, 3.5]])
    np.testing.assert_array_equal(masked.values, expected)
    filled = read(path, "heat,load", gaps=GapPolicy.FORWARD_FILL)
    assert filled.channels == ("heat", "load")
    np.testing.assert_array_equal(filled.values[:, 1], [0, 1, 1, 2, 2])
    months = [f"20{19 + n // 12}-{n % 12 + 1:02}-01,{n},1" for n in range(14) if n != 5]
    monthly = read(write(tmp_path / "b.csv", months), gaps=GapPolicy.MASK)
    assert str(monthly.times[5].date()) == "2019-06-01" and np.isnan(monthly.values[5]).all()
    plain = read(write(tmp_path / "c.tsv", ["1\t2"], "load\theat"), time_column=None)
    assert plain.times is None and plain.values.tolist() == [[1, 2]]


def test_one_file_is_cut_in_the_order_of_time(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [f"{n},{n},0" for n in range(100)])
    options = {"validation_fraction": 0.2, "test_fraction": 0.1, "time_column": "date"}
    found = open_series("series_file", "load", path=path, **options).splits()
    bounds = {split: (x["load"][0].first, len(x["load"][0].values)) for split, x in found.items()}
    assert bounds == {"train": (0, 70), "validation": (70, 90), "test": (90, 100)}


def test_bad_files_are_one_line(tmp_path: Path) -> None:
    good = [f"{time},1,2" for time in HOURS[:2]]
    cases: list[tuple[list[str], dict[str, Any], str]] = [
        ([*good, f"{HOURS[1]},1,2"], {}, "line 4: the time 2016-07-01 01:00:00 is that of line 3"),
        ([*good[::-1]], {}, "line 3: the time 2016-07-01 00:00:00 is before 2016-07-01 01:00:00"),
        ([*good, "2016-07-01 04:00,1,2"], {}, "line 4: 2 times are missing between"),
        ([*good, f"{HOURS[2]},1,2"], {}, "line 4: 1 time is missing between"),
        ([f"{HOURS[0]},x,2"], {}, "line 2, column 'load': 'x' is not a finite number"),
        ([f"{HOURS[0]},inf,2"], {}, "line 2, column 'load': 'inf' is not a finite number"),
        ([f"{HOURS[0]},1,"], {}, "line 2, column 'heat': has no value, and data.gaps=refuse"),
        ([f"{HOURS[0]},1"], {}, "line 2: 2 fields, where the first line has 3"),
        (["noon,1,2"], {}, "line 2, column 'date': 'noon' is not a time"),
        (["1,1,2", f"{HOURS[0]},1,2"], {}, "cannot be compared with 1"),
        (good, {"column": "laod"}, "data.inputs.column=laod: "),
        (good, {"column": "load,date"}, "is data.time_column, which holds the times"),
        (good, {"time_column": "time"}, "data.time_column=time: "),
        (good, {"time_column": None}, "and is the column of times data.time_column?"),
        ([], {}, "has no line after the names of its columns"),
        ([f"{HOURS[0]},,2"], {"gaps": GapPolicy.FORWARD_FILL}, "begins with a missing value"),
    ]
    for number, (rows, fields, expected) in enumerate(cases):
        path = write(tmp_path / f"{number}.csv", rows)
        line = mistake(lambda path=path, fields=fields: read(path, **fields))
        assert expected in line and (f"{number}.csv" in line or "column" in line), line
    twice = write(tmp_path / "twice.csv", good, "date,load,load")
    assert "has 2 columns of that name" in mistake(lambda: read(twice, "load"))
    assert "must end with .csv or .tsv" in mistake(lambda: read(write(tmp_path / "a.txt", good)))


@pytest.mark.grid
@pytest.mark.skipif("SEQMODELS_DATA_DIR" not in os.environ, reason="needs the published files")
def test_published_series_have_their_published_sizes() -> None:
    sizes = {
        "etth1": ((8640, 7), (11520, 7), (14400, 7)),
        "seattle_weather": ((731, 4), (1096, 4), (1461, 4)),
        "stocks": ((96, 1), (108, 1), (123, 1)),
    }
    for name, expected in sizes.items():
        splits = open_series(name).splits()
        assert tuple(x["values"][0].values.shape for x in splits.values()) == expected
        for column in splits.values():
            for one in column.values():
                assert not np.isnan(one[0].values).any()
