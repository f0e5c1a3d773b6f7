"""`launch.py diagnose`: its cells, its page and picture, and the configs of the diagnostics."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments import diagnostics as cells
from experiments.diagnose import RESULT, judge, page
from experiments.side_by_side import LOG
from seqmodels.data.datasets import diagnostics
from tests.experiments.conftest import FrontDoor

COUNTS = {"train": 128, "validation": 20, "test": 20, "longer": 20}


def test_cells_are_trained_once_and_shown(
    door: FrontDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for split, count in COUNTS.items():
        monkeypatch.setitem(diagnostics.COUNTS, split, count)
    monkeypatch.setitem(cells.TASKS, "parity", cells.Problem("parity:4", True, "rnn"))
    words = ["diagnose", "--tasks=parity", "--num_steps=4", "--num_params=300", "--json"]
    words.append(f"--workdir={tmp_path}")
    (first,) = door(*words, "--models=rnn").json["cells"]["parity"].values()
    assert abs(first["num_params"] - 300) < 150 and first["chance"]["accuracy"] == 0.5
    assert first["best"] in {path.name for path in (tmp_path / "parity" / "rnn").iterdir()}
    assert first["test"]["num_targets"] == first["longer"]["num_targets"] == 20
    kept = (tmp_path / "parity" / "rnn" / RESULT).read_text()
    written = json.loads((tmp_path / "diagnose.json").read_text())
    assert written["judged"]["parity"]["rnn"]["expected"] == "yes"
    assert (tmp_path / "diagnose.png").stat().st_size > 10_000
    (again,) = door(*words, "--models=rnn").json["cells"]["parity"].values()
    assert again == first and (tmp_path / "parity" / "rnn" / RESULT).read_text() == kept
    other = door(*words, "--models=rnn", "--rates=0.1")
    assert "was made with rates=[0.003, 0.001], not [0.1]" in other.line
    assert "| `rnn` |" in page({"settings": first["settings"], "cells": {"parity": {"rnn": first}}})


@pytest.mark.hard
def test_problems_train_side_by_side(door: FrontDoor, tmp_path: Path) -> None:
    """Each in a process; what they leave is read as the cells of one command."""
    words = ["diagnose", "--tasks=parity,even_pairs", "--models=rnn", "--num_steps=4", "--json"]
    words += ["--rates=0.01", "--num_params=300", f"--workdir={tmp_path}"]
    answer = door(*words, "--parallel=2")
    found = answer.json["cells"]
    assert list(found) == ["parity", "even_pairs"]
    assert "2 of 2 done" in answer.err
    for task in found:
        assert f"{task}, rnn" in (tmp_path / task / LOG).read_text()
    written = json.loads((tmp_path / "diagnose.json").read_text())
    assert list(written["judged"]) == ["parity", "even_pairs"]


@pytest.mark.hard
def test_a_process_that_fails_ends_the_command(door: FrontDoor, tmp_path: Path) -> None:
    for task in ("parity", "even_pairs"):
        (tmp_path / task).mkdir()
        (tmp_path / task / "rnn").write_text("a file where a folder must be")
    words = ["diagnose", "--tasks=parity,even_pairs", "--models=rnn", "--num_steps=4"]
    answer = door(*words, "--num_params=300", f"--workdir={tmp_path}", "--parallel=2")
    assert answer.status == 2
    assert "parity: ended with status 2," in answer.err
    assert "rnn" in (tmp_path / "parity" / LOG).read_text()


def test_mistakes(door: FrontDoor) -> None:
    for words, part in (
        ("--models=rnn,lsmt", "--models=rnn,lsmt: 'lsmt' is not known; did you mean 'lstm'?"),
        ("--tasks=", "--tasks=: names none of adding"),
        ("--rates=0.1,fast", "--rates=0.1,fast: must be numbers between 0 and 1"),
    ):
        assert part in door("diagnose", words).line


def test_the_verdict() -> None:
    cell = {
        "model": "lstm",
        "chance": {"loss": 0.69, "accuracy": 0.5},
        "test": {"loss": 0.01, "accuracy": 1.0},
        "longer": {"loss": 0.9, "accuracy": 0.75},
    }
    found = judge("parity", cell)
    assert found["scores"] == {"test": 1.0, "longer": 0.5}
    assert found["solved"] == {"test": True, "longer": False}
    assert (found["expected"], found["where"], found["as"]) == ("yes", "longer", False)
    adding = {"loss": 0.005, "absolute_error": 0.05}
    assert cells.solves(adding) and cells.score(adding, {"loss": 1 / 6}) == pytest.approx(0.97)
    assert judge("adding", {**cell, "test": None, "longer": None})["solved"]["test"] is False


def test_expectations_name_models() -> None:
    for name, problem in cells.TASKS.items():
        asked = {*problem.can.split(), *problem.cannot.split()}
        assert asked <= set(cells.MODELS), name
        assert not set(problem.can.split()) & set(problem.cannot.split()), name
