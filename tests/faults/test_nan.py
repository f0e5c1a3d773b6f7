"""A NaN in the data, and diverging parameters: the run stops before it saves either."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seqmodels.runs.rows import read_rows
from tests.faults.figures import record
from tests.faults.test_signals import sealed
from tests.faults.watching import complaint, start
from tests.training.runs import Setting, assert_same_run

SEVERAL = ("--config.training.steps_per_call=2", "--config.training.accumulation_steps=2")


def digests(workdir: Path) -> dict[str, bytes]:
    files = (path for path in (workdir / "checkpoints").rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files}


def test_a_nan_in_a_batch_stops_the_run_which_resumes_once_the_data_are_repaired(
    setting: Setting, undisturbed: Path, tmp_path: Path
) -> None:
    workdir = tmp_path / "run"
    command = setting.command(workdir)
    status, errors = start(command, tmp_path, nan=50).end()
    told = complaint(errors)
    assert status == 1, errors
    look = f"launch.py batch --workdir={workdir} --step=50"
    assert told == (
        f"train: loss or gradient of step 50 is not finite; its batch: {look}; "
        "the checkpoint of step 40 is kept"
    )
    assert sealed(workdir) == [20, 40]
    assert max(row["step"] for row in read_rows(workdir / "metrics.jsonl")) < 50
    before = digests(workdir)
    # The command that it suggests shows the cause.
    status, shown = start([*command[:2], *look.split()[1:]], tmp_path, nan=50).end()
    assert status == 0, shown
    assert "--- row 0, nan targets; not finite: loss_weights" in shown
    assert "--- row 1, 16 targets\n" in shown
    # As long as the data are not repaired, it stops again.
    status, errors = start(command, tmp_path, nan=50).end()
    assert (status, complaint(errors)) == (1, told)
    assert digests(workdir) == before
    setting.finish(workdir)
    assert_same_run(undisturbed, workdir)
    record("nan", {"told": told.replace(str(workdir), "DIR").removeprefix("train: ")})


@pytest.mark.parametrize("at", [47, 48])
def test_the_step_is_named_among_those_of_a_call(setting: Setting, tmp_path: Path, at: int) -> None:
    status, errors = start(setting.command(tmp_path / "run", *SEVERAL), tmp_path, nan=at).end()
    assert status == 1, errors
    assert f"step {at} is not finite" in complaint(errors)
    assert sealed(tmp_path / "run") == [20, 40]


def test_diverging_parameters_are_not_saved(setting: Setting, tmp_path: Path) -> None:
    wild = ("--config.optimizer.peak_lr=1e37", "--config.optimizer.clip_norm=none")
    more = (*wild, "--config.optimizer.warmup_steps=0", "--config.optimizer.schedule=constant")
    workdir = tmp_path / "run"
    status, errors = start(setting.command(workdir, *more), tmp_path).end()
    assert status == 1, errors
    told = complaint(errors)
    assert re.search(r"step \d+ is not finite", told) and told.endswith("nothing was saved")
    assert sealed(workdir) == []
