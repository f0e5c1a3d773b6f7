"""`--init_from` on the command line: what it takes, what it shows, and mistakes in one line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.experiments.conftest import FrontDoor, Small

ROOT = Path(__file__).parents[2]

MISTAKES = [
    ("--init_from", "--init_from: needs a value, text"),
    ("--init_from=/nowhere", "--init_from=/nowhere: no such directory"),
    ("--init_from=/", "--init_from=/: not a work directory: it has no config.json"),
    ("--init_from=RUN", "--init_from=RUN: is the run in --workdir itself"),
    ("--init_from=x@bst", "=x@bst: the step 'bst' must be best, latest or a number; did you mean"),
    ("--init_frm=x", "no such flag; did you mean 'init_from'?"),
    ("--config.training.init_from=@3", "=@3: must be DIR or DIR@step"),
    ("--config.optimizer.frozen=head,", "'' must be a path of parameters such as embedding"),
    ("--config.optimizer.lr_scales=head:2", "'head:2' must be a path of parameters"),
    ("--config.optimizer.lr_scales=head=-2", "the factor '-2' of head must be a number above 0"),
]


def words(text: str, workdir: Path) -> list[str]:
    return [
        "train",
        "--config=demo_lstm",
        f"--workdir={workdir}",
        text.replace("RUN", str(workdir)),
    ]


@pytest.mark.parametrize(("text", "expected"), MISTAKES)
def test_a_mistake_is_one_line(door: FrontDoor, tmp_path: Path, text: str, expected: str) -> None:
    workdir = tmp_path / "run"
    assert expected.replace("RUN", str(workdir)) in door(*words(text, workdir)).line
    assert not workdir.exists()


def test_mistakes_load_nothing_slow(tmp_path: Path) -> None:
    lines = [words(text, tmp_path / "run") for text, _ in MISTAKES]
    lines.append(["train", "--config=demo_ngram", "--workdir=x", "--init_from=y"])
    code = f"""
import sys, launch
for words in {lines}:
    assert launch.main(words) == 2
    slow = {{"jax", "flax", "orbax", "tensorflow_datasets"}} & sys.modules.keys()
    assert not slow, words
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "an ngram is fitted, not trained" in done.stderr.splitlines()[-1]


def test_sources_that_cannot_be_used(
    door: FrontDoor, small: Small, copy_of_trained: Path, tmp_path: Path
) -> None:
    """Missing step, imported parameters, damaged checkpoints, no checkpoints."""
    workdir, flag = tmp_path / "new", f"--init_from={copy_of_trained}"
    train = ["train", *small.words(), f"--workdir={workdir}"]
    assert "no checkpoint of step 7" in door(*train, f"{flag}@7").line
    line = door(*train, flag, "--config.optimizer.frozen=haed").line
    assert "no parameter is called 'haed'; did you mean 'head'" in line
    imported = tmp_path / "imported"
    (imported / "checkpoints" / "0").mkdir(parents=True)
    both = ["train", *small.words(), f"--workdir={imported}", flag]
    assert "holds imported parameters to start with" in door(*both).line
    for path in (copy_of_trained / "checkpoints").rglob("manifest.ocdbt"):
        path.write_bytes(b"")
    answer = door(*train, flag)
    assert answer.status == 2
    assert answer.err.splitlines()[-1].startswith(f"train: {flag}: no usable checkpoint")
    shutil.rmtree(copy_of_trained / "checkpoints")
    assert "no checkpoint in" in door(*train, flag).line
    assert not workdir.exists()


def test_a_fitted_run_cannot_be_a_source(door: FrontDoor, small: Small, tmp_path: Path) -> None:
    fields = [word for word in small.words()[1:] if ".model." not in word]
    words = ["--config=demo_ngram", *fields, "--config.evaluation.context=carry"]
    assert door("train", *words, f"--workdir={tmp_path / 'fitted'}").status == 0
    line = door("train", *small.words(), "--workdir=x", f"--init_from={tmp_path / 'fitted'}").line
    assert "fitted: an ngram is fitted, not trained" in line


def test_a_run_starts_from_another(
    door: FrontDoor, small: Small, trained: Path, tmp_path: Path
) -> None:
    workdir = tmp_path / "new"
    more = (f"--init_from={trained}@3", "--config.optimizer.frozen=embedding")
    train = ["train", *small.words(*more), f"--workdir={workdir}"]
    told = door(*train, "--dry_run")
    assert told.status == 0
    assert not workdir.exists()
    answer = door(*train)
    assert answer.status == 0, answer.err
    start = f"init_from: 6 of 6 parameters from {trained}, step 3"
    assert start in told.err
    assert start in answer.err
    assert "resumed" not in answer.err
    values = door("inspect", f"--workdir={workdir}", "--json").json
    frozen = [row for row in values["parameters"] if not row["trained"]]
    assert [row["path"] for row in frozen] == ["embedding/table"]
    counts = f"{values['num_parameters'] - frozen[0]['count']:,} of {values['num_parameters']:,}"
    for text in (told.err, answer.err):
        assert f"training {counts} parameters" in text
    again = door(*train)
    assert "resumed from step 6 of 6" in again.err
    assert "init_from" not in again.err
    assert f"init_from: not used, because the run in {workdir}" in door(*train, "--dry_run").err
    assert "table (frozen)" in door("inspect", f"--workdir={workdir}").err
