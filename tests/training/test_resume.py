"""Law 3: a run that is killed and resumed ends with the same bits as one that is not."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from seqmodels.runs.checkpoints import Checkpoints
from tests.training.runs import NUM_STEPS, Setting, assert_same_run, make_setting, wait_for_step


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return make_setting(tmp_path_factory.mktemp("setting"))


@pytest.fixture(scope="module")
def undisturbed(setting: Setting) -> Path:
    workdir = setting.folder / "undisturbed"
    setting.finish(workdir)
    return workdir


def interrupt(
    setting: Setting, workdir: Path, step: int, number: signal.Signals
) -> tuple[int, str]:
    process = setting.start(workdir)
    wait_for_step(process, workdir, step)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


@pytest.mark.hard
def test_killed_stopped_and_resumed_ends_with_the_same_bits(
    setting: Setting, undisturbed: Path
) -> None:
    workdir = setting.folder / "disturbed"
    status, errors = interrupt(setting, workdir, 30, signal.SIGKILL)
    assert status == -signal.SIGKILL, errors
    status, errors = interrupt(setting, workdir, 78, signal.SIGTERM)
    assert status == 143, errors
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        stopped = checkpoints.steps()[-1]
    assert f"stopped at step {stopped}, which is saved" in errors
    status, errors = interrupt(setting, workdir, max(150, stopped + 6), signal.SIGINT)
    assert status == 130, errors
    assert f"resumed from step {stopped} of {NUM_STEPS}" in errors
    setting.finish(workdir)
    assert_same_run(undisturbed, workdir)


def test_another_config_is_refused_naming_what_differs(setting: Setting, undisturbed: Path) -> None:
    before = (undisturbed / "config.json").read_bytes()
    done = subprocess.run(
        setting.command(undisturbed, "--config.model.hidden_dim=13", "--config.training.seed=1"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "model.hidden_dim" in line and "12" in line and "13" in line and "training.seed" in line
    assert (undisturbed / "config.json").read_bytes() == before


def test_other_data_are_refused(setting: Setting, undisturbed: Path) -> None:
    text = setting.folder / "text.txt"
    before = text.read_text()
    text.write_text(before + "and more\n")
    try:
        done = subprocess.run(setting.command(undisturbed), capture_output=True, text=True)
    finally:
        text.write_text(before)
    assert done.returncode == 2
    assert "was trained on other data" in done.stderr.strip().splitlines()[-1]


def test_a_finished_run_is_left_unchanged(setting: Setting, undisturbed: Path) -> None:
    before = (undisturbed / "metrics.jsonl").read_bytes()
    assert f"resumed from step {NUM_STEPS} of {NUM_STEPS}" in setting.finish(undisturbed)
    assert (undisturbed / "metrics.jsonl").read_bytes() == before
