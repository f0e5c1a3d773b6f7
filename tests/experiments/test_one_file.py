"""The law of the frame: one file adds a task, a feature and a data set, and every command takes it.

`throwaway_kind.py` is loaded by `--config=PATH` alone; no other file has the names of its kinds.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import launch
from seqmodels import registry
from seqmodels.training import loop
from tests.experiments.conftest import FrontDoor
from tests.training.runs import rows_without_clock

ROOT = Path(__file__).parents[2]
FILE = Path(__file__).with_name("throwaway_kind.py")
STOP, STEPS = 5, 8  # between two rows, two evaluations and two checkpoints
NUM = {"train": 120, "validation": 30, "test": 33}


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    """The registry again as it was, once the tests of this file are done."""
    with pytest.MonkeyPatch.context() as patch:
        for table in ("TASKS", "FEATURES", "DATASETS"):
            patch.setattr(registry, table, dict(vars(registry)[table]))
        yield
    sys.modules.pop(f"config_{FILE.stem}", None)


class Stopping(loop.Feed):
    """Asks the run to stop while it makes step STOP."""

    def __call__(self, step: int) -> Any:
        if step == STOP:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().__call__(step)


@dataclasses.dataclass(frozen=True)
class Runs:
    """Work directories of a run that was never stopped, and of one that was resumed."""

    whole: Path
    resumed: Path
    cache: str


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("one_file")
    runs = Runs(folder / "whole", folder / "resumed", f"--config.data.cache_dir={folder / 'cache'}")
    words = ["train", f"--config={FILE}", runs.cache]
    assert launch.main([*words, f"--workdir={runs.whole}"]) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "Feed", Stopping)
        assert launch.main([*words, f"--workdir={runs.resumed}"]) == 143
    assert rows_without_clock(runs.resumed)[-1]["step"] < STEPS
    assert launch.main(["train", f"--workdir={runs.resumed}"]) == 0
    return runs


def test_no_other_file_knows_it() -> None:
    folders = [ROOT / folder for folder in ("seqmodels", "experiments", "docs")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    texts = [path.read_bytes() for path in files if path.suffix in (".py", ".md", ".json")]
    assert len(texts) > 200
    kinds = re.findall(rb'registry\.[A-Z]+\["(\w+)"\]', FILE.read_bytes())
    assert len(kinds) == 3
    assert not [kind for kind in kinds for text in texts if kind in text]


def test_prepare(door: FrontDoor, tmp_path: Path) -> None:
    words = ["prepare", f"--config={FILE}", f"--config.data.cache_dir={tmp_path}"]
    values = door(*words, "--config.data.inputs.base=2", "--json").json
    rows = {"train": range(120), "validation": range(120, 150), "test": range(150, 183)}
    assert values["splits"] == {
        split: {"examples": len(where), "digits": sum(len(f"{7 * row:b}") for row in where)}
        for split, where in rows.items()
    }
    assert values["encoding"] == "inputs: digits of base 2; targets: 3 classes"
    assert values["base"] == 2
    mistake = door(*words, "--config.data.inputs.base=11").line
    assert "data.inputs.base=11: must be from 2 to 10" in mistake


def test_batch(door: FrontDoor, runs: Runs) -> None:
    values = door("batch", f"--workdir={runs.resumed}", "--step=3", "--json").json
    for row in values["rows"]:
        if not row["loss_weights"]:
            continue
        rest, count = row["text"].split("\n")
        assert rest == ("none", "one", "two")[int(count) % 3]
        assert int(count) % 7 == 0 and int(count) < 7 * NUM["train"]
        assert row["targets"] == int(count) % 3
        assert "".join(map(str, row["inputs"])).startswith(count)
    assert door("batch", f"--config={FILE}", runs.cache, "--step=3", "--json").json == values
    assert f"--- row 0, 1 targets\n{values['rows'][0]['text']}" in (
        door("batch", f"--workdir={runs.resumed}", "--step=3").err
    )


def test_train_and_resume(runs: Runs) -> None:
    """The run that was stopped has the rows of the one that was not, and the same best step."""
    rows = rows_without_clock(runs.resumed)
    assert json.dumps(rows) == json.dumps(rows_without_clock(runs.whole))
    trained = [row for row in rows if row["split"] == "train"]
    held_out = [row for row in rows if row["split"] == "validation"]
    assert [row["step"] for row in trained] == [2, 4, 6, 8]
    assert {"loss", "hits"} <= trained[0].keys() and "accuracy" not in trained[0]
    assert [row["step"] for row in held_out] == [4, 8]
    assert held_out[-1]["num_targets"] == NUM["validation"]
    assert held_out[-1]["worst_hits"] <= held_out[-1]["hits"]
    assert held_out[0]["loss"] != held_out[1]["loss"]


@pytest.fixture(scope="module")
def evaluated(runs: Runs) -> dict[str, Any]:
    """The result on the test split."""
    assert launch.main(["evaluate", f"--workdir={runs.resumed}", "--split=test"]) == 0
    (path,) = (runs.resumed / "evaluations").glob("test-*.json")
    return json.loads(path.read_text())


def test_evaluate(door: FrontDoor, runs: Runs, evaluated: dict[str, Any]) -> None:
    values = evaluated
    assert values["num_targets"] == NUM["test"]
    assert values["baseline"] == {
        "model": "a guess",
        "loss": 100 * math.log(3),
        "hits": pytest.approx(100 / 3),
    }
    assert math.isclose(values["loss_of_zeros"], 100 * math.log(3), rel_tol=1e-6)
    assert "accuracy" not in values
    table = door("evaluate", f"--workdir={runs.resumed}").err
    assert "loss in hundredths of a nat per count" in " ".join(table.split())
    assert all(word in table for word in ("a guess", "this run", "hits"))


def test_predict(door: FrontDoor, runs: Runs, evaluated: dict[str, Any], tmp_path: Path) -> None:
    """Right as often as evaluated, with any batch size, and with the flag of the task."""
    counts = [7 * (NUM["train"] + NUM["validation"] + row) for row in range(NUM["test"])]
    file = tmp_path / "counts.txt"
    file.write_text("\n".join(map(str, counts)) + "\n")
    words = ["predict", f"--workdir={runs.resumed}", f"--input={file}"]
    given = [door(*words, f"--batch_size={size}").out.splitlines() for size in (32, 5)]
    assert given[0] == given[1]
    answers = [json.loads(line) for line in given[0]]
    assert [answer["count"] for answer in answers] == list(map(str, counts))
    right = [
        answer["rests"] == [("none", "one", "two")[count % 3]]
        for answer, count in zip(answers, counts, strict=True)
    ]
    assert math.isclose(100 * sum(right) / len(right), evaluated["hits"], rel_tol=1e-6)
    more = [json.loads(line) for line in door(*words, "--most_rests=3").out.splitlines()]
    assert [row["rests"][:1] for row in more] == [answer["rests"] for answer in answers]
    assert all(sorted(row["rests"]) == ["none", "one", "two"] for row in more)
    assert "--beam_size=2: is for translations" in door(*words, "--beam_size=2").line
    file.write_text("12\ntwelve\n")
    assert "counts.txt, line 2: 'twelve' is not a count" in door(*words).line


def test_inspect(door: FrontDoor, runs: Runs) -> None:
    values = door("inspect", f"--workdir={runs.resumed}", "--json").json
    steps = [row["step"] for row in values["checkpoints"]]
    assert steps[-1] == STEPS
    assert values["data_problem"] is None
    assert values["best"]["metric"] == "hits"
    best = max(row["hits"] for row in rows_without_clock(runs.resumed) if "worst_hits" in row)
    assert values["best"]["value"] == best
    assert values["checkpoints"][-1]["next_batch"]["step"] == STEPS + 1
    assert "hits" in door("inspect", f"--workdir={runs.resumed}").err


def test_list_and_help_have_it(door: FrontDoor, runs: Runs) -> None:
    listed = door("list", "--json").json
    assert "throwaway_rest" in listed["tasks"] and "throwaway_counts" in listed["datasets"]
    help_ = door("train", f"--config={FILE}", "--help").out
    assert "data.inputs.base=10" in help_ and "task.sharpness=2.0" in help_
    assert "rests to name" in door("predict", "--help").out
