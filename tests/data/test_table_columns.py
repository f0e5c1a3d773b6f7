"""Several columns of a table as one: the numbers of a step, or the steps of a series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqmodels.config.data import ExamplesDataConfig
from seqmodels.config.features import LabelConfig, ValuesConfig
from seqmodels.data.common import open_dataset
from tests.data.sets import mistake

HEAD = "hours,passed,t1,t2,t3,lectures\n"


def read(folder: Path, column: str, text: str, ending: str = "csv") -> Any:
    file = folder / f"own.{ending}"
    file.write_text(text)
    path: Any = {"train_path": str(file), "validation_path": str(file)}
    features: Any = {"inputs": ValuesConfig(column=column), "targets": LabelConfig(column="passed")}
    return open_dataset(ExamplesDataConfig(name="table", **path, **features)).splits()["train"]


def test_columns_are_the_numbers_of_a_step_or_steps(tmp_path: Path) -> None:
    text = HEAD + "3.5,yes,1,2,3,7\n0,no,4,5,6,8\n"
    found = read(tmp_path, "hours, lectures", text)
    assert found == {"hours, lectures": [[[3.5, 7.0]], [[0.0, 8.0]]], "passed": ["yes", "no"]}
    assert read(tmp_path, "t1..t3", text)["t1..t3"] == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    assert read(tmp_path, "hours", text)["hours"] == ["3.5", "0"]
    line = '{"t1": 1, "t2": 2.5, "passed": "no"}\n'
    assert read(tmp_path, "t1..t2", line, "jsonl")["t1..t2"] == [[1.0, 2.5]]
    # A column that has just this name comes first.
    quoted = '"a,b",passed\n7 8,yes\n'
    assert read(tmp_path, "a,b", quoted)["a,b"] == ["7 8"]


MISTAKES = {
    ("hours,lectres", "1,yes,1,2,3,4\n"): "has no column 'lectres'; did you mean 'lectures'?",
    ("hour", "1,yes,1,2,3,4\n"): "has no such column; did you mean 'hours'?",
    ("t1..t3", "1,yes,1,x,3,4\n"): "own.csv, line 2: column 't2' is 'x', not a finite number",
    ("t1..t3", "1,yes,1,2,nan,4\n"): "own.csv, line 2: column 't3' is 'nan', not a finite number",
    ("t1..t3", "1,yes,1,,3,4\n"): "own.csv, line 2: column 't2' is empty",
    ("t3..t1", "1,yes,1,2,3,4\n"): "has no column 't1' after 't3'",
    ("t1..t9", "1,yes,1,2,3,4\n"): "has no column 't9'",
}


def test_mistakes_name_row_and_column(tmp_path: Path) -> None:
    for (column, row), expected in MISTAKES.items():
        found = mistake(lambda column=column, row=row: read(tmp_path, column, HEAD + row))
        assert expected in found, (column, found)
    found = mistake(
        lambda: read(tmp_path, "t1..t2", '{"t1": true, "t2": 2, "passed": "no"}\n', "jsonl")
    )
    assert "own.jsonl, line 1: column 't1' is True, not a finite number" in found
