"""`evaluate --input`: all of a text file, and bad input; pairs and images are in
test_images_and_pairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import seqmodels
from seqmodels.config.serialization import from_json
from seqmodels.runs.opening import read_config
from seqmodels.tasks.build import build_task
from tests.experiments.conftest import FrontDoor
from tests.opening import load
from tests.tolerances import TOLERANCE


@pytest.fixture
def lone(copy_of_trained: Path, tmp_path: Path) -> Path:
    """A run whose own text is gone."""
    path = copy_of_trained / "config.json"
    values = json.loads(path.read_text())
    values["data"]["path"] = str(tmp_path / "gone.txt")
    path.write_text(json.dumps(values))
    assert from_json(values) == read_config(copy_of_trained)
    return copy_of_trained


def test_a_text_is_evaluated_whole_without_the_run_s_own(
    door: FrontDoor, trained: Path, lone: Path, tmp_path: Path
) -> None:
    config = read_config(trained)
    data = load(config, seqmodels.load_run(trained).features)
    assert build_task(config).config == config.task
    text = data.tokenizer.decode(data.splits["validation"].tokens)
    before = door("evaluate", f"--workdir={trained}", "--json").json
    (tmp_path / "held.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
    words = ("evaluate", f"--workdir={lone}", f"--input={tmp_path}/held.txt")
    found = door(*words, "--json").json
    assert found["num_targets"] == before["num_targets"] == len(text) - 1
    for name in ("loss", "perplexity", "bits_per_byte"):
        np.testing.assert_allclose(found[name], before[name], **TOLERANCE["exact"])
    assert "baseline" not in found and found["input"] == f"{tmp_path}/held.txt"
    name = f"{found['split']}-{found['step']}.json"
    assert name.startswith("input-held-")
    assert json.loads((lone / "evaluations" / name).read_text()) == found
    told = door(*words)
    assert "this run" in told.err and "evaluations/input-held-" in told.err.replace("\n", "")
    (tmp_path / "held2.txt").write_text(text)
    both = door("evaluate", f"--workdir={lone}", f"--input={tmp_path}/held*.txt", "--json").json
    assert both["num_targets"] == 2 * len(text) - 1
    assert both["split"] != found["split"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("--input=", "--input= names no file"),
        ("--input=none.txt", "--input=none.txt: no such file"),
        ("--input=x --split=test", "--split=test: has no effect with --input"),
        ("--input=x --config.data.path=y", "--config.data.path=y: has no effect with --input"),
        ("--input=x --choices=y", "--input=x: has no effect with --choices"),
    ],
)
def test_what_goes_not_with_an_input_is_refused(
    door: FrontDoor, trained: Path, flags: str, told: str
) -> None:
    assert told in door("evaluate", f"--workdir={trained}", *flags.split()).line
