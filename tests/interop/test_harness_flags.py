"""Mistakes in the flags of the harness: one line, exit status 2, before jax is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from seqmodels.config.files import load_config
from seqmodels.config.serialization import to_json
from seqmodels.interop import harness
from tests.experiments.conftest import Small, small, trained

__all__ = ["Small", "small", "trained"]

TASKS = "--tasks=seqmodels_sst2"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([TASKS], "--workdir=DIR is required"),
        (["--workdir=/nowhere", TASKS], "--workdir=/nowhere: no such directory"),
        (["--workdir={run}"], "--tasks=NAME,.. is required; offline are seqmodels_arithmetic, "),
        (["--workdir={run}", "--tasks=seqmodels_sst3"], "did you mean 'seqmodels_sst2'?"),
        (["--workdir={run}", TASKS, "--batch_size=0"], "0: must be an integer, 1 or above"),
        (["--workdir={run}", TASKS, "--max_length=x"], "x: must be an integer, 2 or above"),
        (["--workdir={run}", TASKS, "--step=lates"], "did you mean 'latest'?"),
        (["--workdir={run}", TASKS, "--include_path=/nowhere"], "--include_path=/nowhere: no such"),
        (["--workdir={run}", TASKS, "--output=/nowhere/x"], "/nowhere is not a directory"),
        (["--workdir={run}", TASKS, "--task=x"], "unrecognized arguments: --task=x"),
    ],
)
def test_mistakes(
    trained: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert harness.main([word.format(run=trained) for word in words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("harness: ") and told in line


def test_a_run_that_writes_no_text_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(to_json(load_config("digits_lstm"))))
    assert harness.main([f"--workdir={tmp_path}", TASKS]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot score text; the harness needs task.kind=language_model" in line


def test_flags_are_checked_without_jax() -> None:
    program = "import sys, seqmodels.interop.harness as h; h.main(['--workdir=/x', '--tasks=y'])"
    check = "; sys.exit('jax' in sys.modules or 'lm_eval' in sys.modules)"
    subprocess.run([sys.executable, "-c", program + check], check=True)
