"""States of runs, read from what jobs leave in their directories."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from seqmodels.config.errors import UserError
from seqmodels.runs.divergence import clear_divergence, record_divergence
from seqmodels.sweeps.jobs import (
    LOCAL,
    LOG,
    SLURM,
    Job,
    end_job,
    last_line,
    read_job,
    start_time,
    write_job,
)
from seqmodels.sweeps.states import State, read_status
from tests.sweeps.fakes import make_sweep, write_rows

HERE = Job(LOCAL, socket.gethostname(), os.getpid(), start_time(os.getpid()))


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    make_sweep(tmp_path)
    return tmp_path / "peak_lr=0.001,seed=0"


def test_a_run_from_its_beginning_to_its_end(workdir: Path) -> None:
    assert read_status(workdir).state is State.WAITING
    write_job(workdir, HERE)
    assert read_status(workdir).state is State.RUNNING  # it has not reached the lock yet
    write_rows(workdir, {10: 2.5})
    status = read_status(workdir)
    assert (status.state, status.step, status.num_steps, status.loss) == ("running", 10, 20, 2.5)
    assert status.seconds_left == pytest.approx(1.0)
    end_job(workdir, 143)
    assert read_status(workdir).state is State.STOPPED
    write_rows(workdir, {10: 2.5, 20: 2.0})
    assert read_status(workdir).state is State.DONE


def test_the_ends_of_a_job(workdir: Path) -> None:
    (workdir / LOG).write_text("a warning\ntrain: no room on the disk\n\n")
    write_job(workdir, dataclasses.replace(HERE, status=1))
    status = read_status(workdir)
    assert (status.state, status.note) == (State.FAILED, "train: no room on the disk")
    record_divergence(workdir, "loss of step 3 is not finite")
    status = read_status(workdir)
    assert (status.state, status.note) == (State.DIVERGED, "loss of step 3 is not finite")
    clear_divergence(workdir)
    # Another process has the number now.
    write_job(workdir, dataclasses.replace(HERE, started=1))
    assert read_status(workdir).note == "killed; train: no room on the disk"
    assert read_status(workdir).state is State.STOPPED
    write_job(workdir, dataclasses.replace(HERE, host="another"))
    assert not read_status(workdir).state.in_flight


@pytest.mark.parametrize(
    ("queue", "state", "note"),
    [
        (None, State.QUEUED, "Slurm does not answer"),
        ({"7": ("PENDING", "Priority")}, State.QUEUED, "pending: Priority"),
        ({"7": ("REQUEUED", "None")}, State.QUEUED, "requeued: None"),
        ({"7": ("RUNNING", "None")}, State.RUNNING, ""),
        ({"7": ("COMPLETED", "None")}, State.STOPPED, "killed"),
        ({"7": ("CANCELLED by 0", "None")}, State.STOPPED, "killed"),
        ({"70": ("RUNNING", "None")}, State.STOPPED, "killed"),
    ],
)
def test_jobs_of_slurm(
    workdir: Path, queue: dict[str, tuple[str, str]] | None, state: State, note: str
) -> None:
    write_job(workdir, Job(SLURM, job_id="7"))
    status = read_status(workdir, queue)
    assert (status.state, status.note) == (state, note)


def test_a_process_is_known_by_its_number_and_its_start() -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    started = start_time(process.pid)
    job = Job(LOCAL, socket.gethostname(), process.pid, started)
    assert started is not None and job.runs_here()
    assert not dataclasses.replace(job, started=started - 1).runs_here()
    assert not dataclasses.replace(job, status=0).runs_here()
    process.kill()
    process.wait()
    assert start_time(process.pid) is None and not job.runs_here()


def test_a_damaged_record_is_named(workdir: Path) -> None:
    assert read_job(workdir) is None and last_line(workdir, HERE) == ""
    (workdir / "job.json").write_text('{"what": 1}')
    with pytest.raises(UserError, match=r"job.json: cannot be read"):
        read_job(workdir)
