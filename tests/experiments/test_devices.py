"""The devices of a run: parts of a CPU, and an accelerator that jax does not use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments import program
from seqmodels.runs.rows import read_rows
from tests.experiments.conftest import Small
from tests.tolerances import TOLERANCE

ROOT = Path(__file__).parents[2]

TPU_NAMES = ("TPU_NAME", "TPU_WORKER_ID", "TPU_ACCELERATOR_TYPE")


@pytest.fixture(autouse=True)
def no_tpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TPU_NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("device", ["nvidia0", "kfd", "accel0"])
def test_device_files_are_found(tmp_path: Path, device: str) -> None:
    assert program.find_accelerator(tmp_path) is None
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidia-caps").touch()
    assert program.find_accelerator(tmp_path) is None
    (tmp_path / "dev" / device).touch()
    assert program.find_accelerator(tmp_path) == f"/dev/{device}"


@pytest.mark.parametrize("name", TPU_NAMES)
def test_tpu_metadata_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "0")
    assert program.find_accelerator(tmp_path) == f"${name}"


@pytest.mark.parametrize(("platforms", "warns"), [("", True), ("cpu", False), ("cuda,cpu", False)])
def test_the_warning(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    platforms: str,
    warns: bool,
) -> None:
    monkeypatch.setattr(program, "find_accelerator", lambda: "/dev/nvidia0")
    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    program.show_devices()
    told = capsys.readouterr().err
    assert "devices: " in told
    assert ("warning: this machine has an accelerator (/dev/nvidia0)" in told) == warns


def losses_of(workdir: Path) -> list[float]:
    """Of training, up to step 2."""
    rows = read_rows(workdir / "metrics.jsonl")
    return [row["loss"] for row in rows if row["step"] == 2 and row["split"] == "train"]


def test_two_devices_of_one_cpu_are_one_up_to_rounding(
    small: Small, trained: Path, tmp_path: Path
) -> None:
    words = [*small.words("--config.training.num_steps=3"), f"--workdir={tmp_path}"]
    command = [sys.executable, "launch.py", "train", *words, "--cpu_devices=2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "devices: 2 (cpu)" in done.stderr, done.stderr
    found = losses_of(tmp_path)
    assert found
    np.testing.assert_allclose(found, losses_of(trained), **TOLERANCE["decoding"])
