"""Jobs of a real Slurm: submitted, preempted, timed out, requeued, and found again."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seqmodels.runs.rows import read_rows
from seqmodels.sweeps.jobs import Job, read_job
from seqmodels.sweeps.slurm import read_queue
from seqmodels.sweeps.states import State, read_status
from tests.slurm.cluster import Cluster, wait_for
from tests.training.runs import Setting, assert_same_run, make_setting

ROOT = Path(__file__).parents[2]
SUBMIT = ("--executor=slurm", "--slurm.time=5")


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return make_setting(tmp_path_factory.mktemp("setting"))


def command(*words: object, status: int = 0) -> str:
    """What a command of `launch.py` prints, on stdout with --json; the environment has the
    cluster."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "launch.py"), *map(str, words)],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == status, done.stderr
    return done.stdout if "--json" in words else done.stderr


def flags(setting: Setting, *more: str) -> list[str]:
    """The flags of a run, from --config on."""
    words = setting.command(Path("unused"), *more)
    return words[words.index("--config=demo_lstm") : -1]


def job_of(workdir: Path) -> Job:
    job = read_job(workdir)
    assert job is not None
    return job


def wait_for_end(*workdirs: Path) -> None:
    for workdir in workdirs:
        wait_for(
            lambda workdir=workdir: not read_status(workdir, read_queue()).state.in_flight,
            f"the end of {workdir.name}",
            seconds=200,
        )
        log = (workdir / "log.txt").read_text()
        assert read_status(workdir, read_queue()).state is State.DONE, log[-2000:]


def wait_for_rows(workdir: Path) -> None:
    wait_for(lambda: read_rows(workdir / "metrics.jsonl"), f"rows of {workdir.name}")


def restarts(cluster: Cluster, job_id: str | None) -> int:
    found = re.search(r"Restarts=(\d+)", cluster.ask("scontrol", "show", "job", str(job_id)))
    assert found is not None
    return int(found[1])


def raise_limit(cluster: Cluster, job_id: str | None) -> None:
    """Gives a job five minutes; Slurm refuses that while the job ends."""

    def is_raised() -> bool:
        cluster.ask("scontrol", "update", f"JobId={job_id}", "TimeLimit=5")
        return "TimeLimit=00:05:00" in cluster.ask("scontrol", "show", "job", str(job_id))

    wait_for(is_raised, "a longer limit")


def trainer_of(workdir: Path) -> int | None:
    """The process that trains in a directory."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"experiments.job" in words and f"--workdir={workdir}".encode() in words:
            return int(place.name)
    return None


def is_asked_to_end(pid: int) -> bool:
    """Whether TERM waits for a process that is held, or Slurm has let it go on and it has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    masks = re.findall(r"^(?:SigPnd|ShdPnd):\s*(\w+)", text, re.MULTILINE)
    return any(int(mask, 16) >> (signal.SIGTERM - 1) & 1 for mask in masks)


def test_a_sweep_is_submitted_and_survives_the_controller(
    cluster: Cluster, setting: Setting, tmp_path: Path
) -> None:
    root = tmp_path / "s"
    short = flags(setting, "--config.training.num_steps=60")
    words = ("sweep", *short, "--sweep.training.seed=0..5", f"--root={root}", *SUBMIT)
    assert "6 submitted" in command(*words)
    jobs = {job_of(root / f"seed={seed}").job_id for seed in range(6)}
    assert len(jobs) == 6
    # Found again: by the record, and without it by Slurm's own.
    (root / "seed=5" / "job.json").unlink()
    printed = command(*words)
    assert "in flight" in printed and "0 submitted" in printed
    assert {job_of(root / f"seed={seed}").job_id for seed in range(6)} == jobs
    states = json.loads(command("sweep", f"--root={root}", "--status", "--json"))
    assert {one["state"] for one in states.values()} <= {"queued", "running", "done"}
    wait_for_rows(root / "seed=0")
    cluster.stop_controller()
    cluster.start_controller()
    wait_for_end(*(root / f"seed={seed}" for seed in range(6)))
    assert "6 done" in command("sweep", f"--root={root}", "--status")
    assert "0 submitted" in command(*words)
    table = json.loads(command("sweep", f"--root={root}", "--table", "--json"))
    assert len(table["points"][0]["results"]) == 6


def test_jobs_that_are_preempted_or_time_out_end_with_the_same_bits(
    cluster: Cluster, setting: Setting, tmp_path: Path
) -> None:
    preempted, timed_out, alone = (tmp_path / n for n in ("preempted", "timed_out", "alone"))
    longer = ("--config.training.num_steps=1200", "--config.training.evaluate_every=400")
    words = flags(setting, *longer)
    # Asked to end after 50 seconds: after fewer it may still be starting, each time again.
    limit = ("--slurm.time=2", "--slurm.signal_delay_s=70")
    command("train", *words, f"--workdir={timed_out}", "--executor=slurm", *limit)
    command("train", *words, f"--workdir={preempted}", *SUBMIT)
    wait_for_rows(preempted)
    number = job_of(preempted).job_id
    cluster.ask("scancel", "--signal=TERM", str(number))
    wait_for_rows(timed_out)
    # Held until its time is up, so that it cannot end before; not longer, or Slurm kills it.
    pid = trainer_of(timed_out)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: is_asked_to_end(pid), "the signal before the time limit")
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: trainer_of(timed_out) != pid, "the end of the first job")
    saved = [int(path.name) for path in (timed_out / "checkpoints").glob("*[0-9]")]
    assert 0 < max(saved) < 1200
    # What is left may take longer than the next limit.
    raise_limit(cluster, job_of(timed_out).job_id)
    setting.finish(alone, *longer)
    wait_for_end(preempted, timed_out)
    for workdir in (preempted, timed_out):
        assert restarts(cluster, job_of(workdir).job_id) >= 1
        assert "resumed from step" in (workdir / "log.txt").read_text()
        assert_same_run(workdir, alone)
    assert job_of(preempted).job_id == number
    assert "stopped at step" in (preempted / "log.txt").read_text()


def test_a_pack_is_one_job_that_is_requeued_and_found_again(
    cluster: Cluster, setting: Setting, tmp_path: Path
) -> None:
    root, alone = tmp_path / "s", tmp_path / "alone"
    longer = ("--config.training.num_steps=400", "--config.training.evaluate_every=200")
    words = ("sweep", *flags(setting, *longer), "--sweep.training.seed=0..2", f"--root={root}")
    words = (*words, *SUBMIT, "--pack")
    assert "seed=0, seed=1, seed=2: submitted as job" in command(*words)
    members = [root / f"seed={seed}" for seed in range(3)]
    number = job_of(members[0]).job_id
    (members[2] / "job.json").unlink()  # as after a kill between submission and record
    printed = command(*words)
    assert "in flight: seed=0, seed=1, seed=2" in printed and "0 submitted" in printed
    assert {job_of(workdir).job_id for workdir in members} == {number}
    wait_for_rows(members[1])
    cluster.ask("scancel", "--signal=TERM", str(number))
    setting.finish(alone, *longer, "--config.training.seed=1")
    for workdir in members:
        wait_for(
            lambda workdir=workdir: not read_status(workdir, read_queue()).state.in_flight,
            f"the end of {workdir.name}",
            seconds=200,
        )
        assert read_status(workdir, read_queue()).state is State.DONE
    assert restarts(cluster, number) == 1 and job_of(members[2]).log == "../seed=0/log.txt"
    assert "resumed from step" in (members[0] / "log.txt").read_text()
    one, two = (read_rows(path / "metrics.jsonl") for path in (members[1], alone))
    assert [row["step"] for row in one] == [row["step"] for row in two]
    for left, right in zip(one, two, strict=True):
        assert left["loss"] == pytest.approx(right["loss"], rel=1e-5)


def test_flags_of_jobs_and_of_packs_that_have_no_effect_are_refused(
    cluster: Cluster, setting: Setting, tmp_path: Path
) -> None:
    words = ("sweep", *flags(setting), "--sweep.training.seed=0..1", f"--root={tmp_path / 's'}")
    assert "Slurm decides how many" in command(*words, *SUBMIT, "--parallel=2", status=2)
    tasks = ("--pack", "--slurm.ntasks_per_node=2")
    assert "not in 2 tasks" in command(*words, *SUBMIT, *tasks, status=2)


def test_a_job_that_its_user_cancels_is_not_requeued(
    cluster: Cluster, setting: Setting, tmp_path: Path
) -> None:
    workdir = tmp_path / "run"
    words = flags(setting, "--config.training.num_steps=100000")
    command("train", *words, f"--workdir={workdir}", *SUBMIT)
    assert "is in flight" in command("train", *words, f"--workdir={workdir}", *SUBMIT, status=2)
    wait_for_rows(workdir)
    cluster.ask("scancel", str(job_of(workdir).job_id))
    wait_for(lambda: not read_status(workdir, read_queue()).state.in_flight, "its end")
    time.sleep(1)
    status = read_status(workdir, read_queue())
    assert status.state is State.STOPPED and job_of(workdir).status == 143
    assert status.step > 0 and list((workdir / "checkpoints").glob("[0-9]*"))


def test_the_tasks_of_a_job_are_one_program(
    cluster: Cluster, setting: Setting, tmp_path: Path
) -> None:
    workdir, alone = tmp_path / "run", tmp_path / "alone"
    short = ("--config.training.num_steps=40", "--config.model.dropout_rate=0")
    words = flags(setting, *short)
    tasks = ("--slurm.ntasks_per_node=2", "--slurm.cpus_per_task=1")
    command("train", *words, f"--workdir={workdir}", *SUBMIT, *tasks)
    setting.finish(alone, *short)
    wait_for_end(workdir)
    assert "processes: 2" in (workdir / "log.txt").read_text()
    one, two = (read_rows(path / "metrics.jsonl") for path in (workdir, alone))
    assert [row["step"] for row in one] == [row["step"] for row in two]
    for left, right in zip(one, two, strict=True):
        assert left["loss"] == pytest.approx(right["loss"], rel=1e-4)


def test_what_slurm_refuses_is_one_line(cluster: Cluster, setting: Setting, tmp_path: Path) -> None:
    words = ("train", *flags(setting), f"--workdir={tmp_path / 'run'}", *SUBMIT)
    printed = command(*words, "--slurm.partition=none", status=1)
    assert printed.startswith("train: run: Slurm rejected the job: ")
    assert "invalid partition" in printed.lower() and printed.count("\n") == 1
