"""Rows of metrics.jsonl, whatever is in them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from seqmodels.runs.rows import MetricsWriter, read_rows
from seqmodels.runs.workdir import write_json

ODD: dict[str, Any] = {
    "step": 1,
    "split": "validation",
    "seconds": 0.0,
    "loss": math.nan,
    "norms": [1.5, math.inf, {"least": -math.inf}],
}
KEPT = {**ODD, "loss": None, "norms": [1.5, None, {"least": None}]}


def strict(text: str) -> Any:
    """What JSON says it is: NaN and Infinity are words of Python's alone."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    return json.loads(text, parse_constant=refuse)


def test_rows_and_results_are_json_whatever_the_numbers(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    for _ in range(2):  # the second one writes the rows of the first again
        writer = MetricsWriter(path, 1)
        if not writer.rows:
            writer.write(ODD)
        writer.close()
        assert [strict(line) for line in path.read_text().splitlines()] == [KEPT]
    assert read_rows(path) == [KEPT]
    write_json(tmp_path / "result.json", ODD)
    assert strict((tmp_path / "result.json").read_text()) == KEPT
