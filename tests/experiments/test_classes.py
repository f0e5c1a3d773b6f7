"""Every command on a small run over a table of two numbers, its pictures, and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import launch
from tests.experiments.conftest import FrontDoor

FIELDS = {
    "data.batch_size": 8,
    "model.hidden_dim": 8,
    "optimizer.peak_lr": 0.05,
    "optimizer.warmup_steps": 1,
    "training.num_steps": 80,
    "training.log_every": 40,
    "training.evaluate_every": 40,
    "training.checkpoint_every": 40,
    "evaluation.batch_size": 64,
}


def write_exam(file: Path, count: int = 200, **replaced: str) -> Path:
    """Whoever has more than 20 hours and lectures together passes."""
    rng = np.random.default_rng(0)
    rows = [
        (hours, lectures, "yes" if hours + lectures > 20 else "no")
        for hours, lectures in rng.integers(0, 30, (count, 2)).tolist()
    ]
    text = "".join(f"{hours},{lectures},{passed}\n" for hours, lectures, passed in rows)
    for old, new in replaced.items():
        text = text.replace(old, new)
    file.write_text("hours,lectures,passed\n" + text)
    return file


def words(folder: Path, exam: Path) -> list[str]:
    fields = {
        **FIELDS,
        "data.name": "table",
        "data.path": exam,
        "data.inputs.column": "hours,lectures",
        "data.targets.column": "passed",
        "data.cache_dir": folder / "cache",
    }
    return ["--config=pass_fail", *(f"--config.{n}={v}" for n, v in fields.items())]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exam")
    flags = words(folder, write_exam(folder / "exam.csv"))
    assert launch.main(["train", *flags, f"--workdir={folder / 'run'}"]) == 0
    return folder / "run"


def test_every_command_takes_two_columns_as_a_step(
    door: FrontDoor, run: Path, tmp_path: Path
) -> None:
    done = door("evaluate", f"--workdir={run}", "--split=test")
    assert done.status == 0 and "nearest neighbour" in done.err
    (result,) = (run / "evaluations").glob("test-*.json")
    found = json.loads(result.read_text())
    assert found["accuracy"] > 0.8
    for name in ("confusion", "boundary"):
        with Image.open(result.with_name(f"{result.stem}-{name}.png")) as picture:
            assert min(picture.size) > 300
            assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 50
    (tmp_path / "new.txt").write_text("29, 12\n[[1, 2.5]]\n")
    done = door("predict", f"--workdir={run}", f"--input={tmp_path / 'new.txt'}")
    assert [json.loads(line)["label"] for line in done.out.splitlines()] == ["yes", "no"]
    (tmp_path / "new.txt").write_text("29, 12, 3\n")
    line = door("predict", f"--workdir={run}", f"--input={tmp_path / 'new.txt'}").line
    assert "new.txt, line 1: has 1 channels, not 2" in line
    row = door("batch", f"--workdir={run}", "--step=3", "--json").json["rows"][0]
    label, hours, lectures = row["text"].split("\n")
    assert (label == "yes") == (round(float(hours)) + round(float(lectures)) > 20)


MISTAKES = {
    "no such column": (
        {},
        ["--config.data.inputs.column=hours,lecturs"],
        "did you mean 'lectures'?",
    ),
    "not a number": ({"3,": "three,"}, [], "column 'lectures' is 'three', not"),
    "one class": ({"no": "yes"}, [], "are of class 'yes'; there must be two classes or more"),
}


def test_mistakes_are_one_line(door: FrontDoor, run: Path, tmp_path: Path) -> None:
    for name, (replaced, more, expected) in MISTAKES.items():
        exam = write_exam(tmp_path / "exam.csv", **replaced)
        target = tmp_path / "run"
        line = door("train", *words(tmp_path, exam), *more, f"--workdir={target}").line
        assert expected in line and not target.exists(), (name, line)
    exam = write_exam(tmp_path / "exam.csv", 40, no="maybe")
    line = door("evaluate", f"--workdir={run}", f"--input={exam}").err.splitlines()[-1]
    assert "class 'maybe' is not known" in line and "exam.csv, line " in line
