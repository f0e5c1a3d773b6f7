"""`launch.py evaluate --compare`: its figures are those of the split, and its mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from seqmodels import load_run
from seqmodels.evaluation.compare import score_rows
from seqmodels.runs.run import open_data
from tests.experiments.conftest import FrontDoor
from tests.opening import evaluate_split
from tests.tolerances import TOLERANCE


def test_the_figure_of_a_split_is_that_of_its_rows(trained: Path) -> None:
    run = load_run(trained)
    data = open_data(trained, run.config, run.task)
    settings = (run.config.evaluation, run.task, run.config.training.seed)
    whole = evaluate_split(run.model, run.params, data, "validation", *settings)
    found = score_rows(run, data, "validation", "loss", texts=True)
    np.testing.assert_allclose(found.mean, whole["loss"], **TOLERANCE["chunking"])
    assert found.weights.sum() == whole["num_targets"]
    assert len(found.texts) == len(found.sums) > 1


def test_a_run_is_compared_with_another_step(
    door: FrontDoor, copy_of_trained: Path, trained: Path
) -> None:
    words = ("evaluate", f"--workdir={copy_of_trained}", "--step=3", f"--compare={trained}")
    found = door(*words, "--json").json
    results = json.loads(
        (copy_of_trained / "evaluations" / "validation-against-run-6-3.json").read_text()
    )
    assert results["verdict"] == found["verdict"]
    assert found["wins"] + found["losses"] + found["ties"] == found["rows"]
    low, high = found["interval"]
    assert low <= found["difference"] <= high


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("--compare=/nowhere", "--compare=/nowhere: no such directory"),
        ("--compare={run} --input=x.txt", "--input=x.txt: has no effect with --compare"),
        ("--compare={run} --choices=x", "--compare={run}: has no effect with --choices"),
    ],
)
def test_mistakes(door: FrontDoor, trained: Path, words: str, line: str) -> None:
    given = words.format(run=trained).split()
    assert line.format(run=trained) in door("evaluate", f"--workdir={trained}", *given).line
