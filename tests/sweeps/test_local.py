"""Execution on one machine: several at a time, and no end of one touches the others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqmodels.sweeps import local
from seqmodels.sweeps.jobs import read_job
from seqmodels.sweeps.local import LocalExecutor, Stop, Task, visible_gpus
from seqmodels.sweeps.states import State, read_status
from tests.sweeps.fakes import fake_command, make_sweep, tell_jobs


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Task]]:
    """Four runs, whose jobs do as they are told."""
    monkeypatch.setattr(local, "job_command", fake_command)
    _, runs = make_sweep(tmp_path / "s")
    yield [Task((tmp_path / "s" / run.name,), ("--config.training.num_steps=20",)) for run in runs]


def test_the_end_of_one_does_not_touch_the_others(tasks: list[Task]) -> None:
    for task, word in zip(tasks, ("fail", "end", "diverge", "kill"), strict=True):
        tell_jobs(task.workdirs[0], word)
    lines: list[str] = []
    ended = LocalExecutor(1, 0, lines.append).run(tasks)
    names = [task.workdirs[0].name for task in tasks]
    assert [status.state for status in ended.values()] == ["failed", "done", "diverged", "stopped"]
    assert lines == [
        f"{names[0]}: failed: train: no room (1 of 4)",
        f"{names[1]}: done, loss 2.5000 (2 of 4)",
        f"{names[2]}: diverged: step 3 is not finite (3 of 4)",
        f"{names[3]}: stopped: killed; training (4 of 4)",
    ]
    words = json.loads((tasks[1].workdirs[0] / "started.json").read_text())
    assert words == ["--config.training.num_steps=20"]
    job = read_job(tasks[0].workdirs[0])
    assert job is not None and job.status == 1


def test_a_run_that_fails_is_started_again_as_often_as_asked(tasks: list[Task]) -> None:
    for task, words in zip(tasks[:2], (("fail", "fail", "end"), ("fail",) * 3), strict=True):
        tell_jobs(task.workdirs[0], *words)
    lines: list[str] = []
    ended = LocalExecutor(1, 2, lines.append).run(tasks[:2])
    assert [status.state for status in ended.values()] == ["done", "failed"]
    assert len([line for line in lines if "starting it again" in line]) == 4
    job = read_job(tasks[1].workdirs[0])
    assert job is not None and job.attempt == 2


def test_several_run_at_once(tasks: list[Task]) -> None:
    for task, word in zip(tasks[:3], ("meet", "meet", "last"), strict=True):
        tell_jobs(task.workdirs[0], word)
    ended = LocalExecutor(2, 0, lambda line: None).run(tasks[:3])
    assert [status.note for status in ended.values()] == ["", "", ""]
    assert {status.state for status in ended.values()} == {State.DONE}


def test_a_signal_lets_the_jobs_save_and_starts_no_more(tasks: list[Task]) -> None:
    for task in tasks:
        tell_jobs(task.workdirs[0], "wait")
    stop, lines = Stop(), list[str]()

    def send() -> None:
        while not all((task.workdirs[0] / "waits").exists() for task in tasks[:2]):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=send)
    with stop.listening():
        thread.start()
        ended = LocalExecutor(2, 3, lines.append, stop).run(tasks)
    thread.join()
    assert list(ended) == [task.workdirs[0] for task in tasks[:2]]
    assert {status.state for status in ended.values()} == {State.STOPPED}
    assert stop.signal == signal.SIGTERM and lines[0].startswith("stopping: the jobs save")
    assert read_status(tasks[3].workdirs[0]).state is State.WAITING


def test_a_second_ctrl_c_kills(tasks: list[Task]) -> None:
    stop = Stop()
    stop(signal.SIGINT, None)
    assert not stop.kills
    stop(signal.SIGINT, None)
    assert stop.kills


def test_jobs_in_flight_are_found_and_waited_for(tasks: list[Task]) -> None:
    workdir = tasks[0].workdirs[0]
    tell_jobs(workdir, "wait")
    first = LocalExecutor(1, 0, lambda line: None)
    first._start(tasks[0], attempt=0)  # whose program is killed then
    while not (workdir / "waits").exists():
        time.sleep(0.01)
    assert read_status(workdir).state is State.RUNNING
    process = first._own[tasks[0]]

    def end() -> None:
        process.terminate()
        process.wait()

    threading.Timer(0.5, end).start()
    ended = LocalExecutor(1, 0, lambda line: None).run(tasks[1:2], [workdir])
    assert [status.state for status in ended.values()] == ["stopped", "done"]  # one at a time


@pytest.mark.parametrize(
    ("place", "parallel", "visible", "expected"),
    [
        (1, 2, "0,1,2,3", "2,3"),
        (3, 8, "0,1", "1"),
        (2, 4, "GPU-a,GPU-b,GPU-c,GPU-d", "GPU-c"),
        (0, 1, "0,1", None),
        (1, 2, "0", None),
        (1, 2, "", None),
    ],
)
def test_jobs_share_the_gpus(place: int, parallel: int, visible: str, expected: str | None) -> None:
    found = visible_gpus(place, parallel, {"CUDA_VISIBLE_DEVICES": visible})
    assert found.get("CUDA_VISIBLE_DEVICES") == expected


def test_the_command_of_a_job_is_train(tmp_path: Path) -> None:
    task = Task((tmp_path / "none",), ("--dry_run",))
    done = subprocess.run(
        local.job_command(task),
        env=local.job_environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == f"train: --workdir={tmp_path / 'none'}: no such directory\n"
