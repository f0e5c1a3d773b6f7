"""Runs of real processes on this machine: equal to one process, and resumed by any number."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqmodels.runs.rows import read_rows
from tests.distributed.together import TIME_LIMIT, Together, run_together
from tests.faults.places import small_disk
from tests.tolerances import TOLERANCE
from tests.training.runs import Setting, make_setting, rows_without_clock

SAVED, LAST = 3, 6
FIELDS = {
    "data.batch_size": 8,
    "optimizer.warmup_steps": 2,
    "training.num_steps": LAST,
    "training.log_every": 1,
    "training.evaluate_every": SAVED,
    "training.checkpoint_every": SAVED,
}
STEPS = [
    *((1, "train"), (2, "train"), (3, "train"), (3, "validation")),
    *((4, "train"), (5, "train"), (6, "train"), (6, "validation")),
]
# Processes, devices of each, and the mesh over all of them.
TOPOLOGIES = {
    "one": (1, 2, {"mesh_data": 2}),
    "two": (2, 2, {"mesh_fsdp": 2, "mesh_tensor": 2}),
    "four": (4, 1, {"mesh_fsdp": 2}),
}
PAIRS = list(itertools.product(TOPOLOGIES, TOPOLOGIES))


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return make_setting(tmp_path_factory.mktemp("setting"))


def command(setting: Setting, workdir: Path, *more: str, **fields: Any) -> list[str]:
    """The command of a short run; `mesh_data` is `training.mesh_data`."""
    values = {**FIELDS, **{f"training.{name}": value for name, value in fields.items()}}
    flags = (f"--config.{name}={value}" for name, value in values.items())
    return setting.command(workdir, *flags, *more)


def run(setting: Setting, workdir: Path, topology: str) -> str:
    """Trains or resumes the run; returns the output of process 0."""
    count, devices, mesh = TOPOLOGIES[topology]
    ended = run_together([command(setting, workdir, **mesh)] * count, devices)
    assert [(e.out, e.err) for e in ended[1:]] == [("", "")] * (count - 1)
    assert ended[0].out == ""
    assert "Involuntary full rematerialization" not in ended[0].err
    return ended[0].err


@pytest.fixture(scope="module")
def plain(setting: Setting) -> Path:
    """The run in a single process with one device."""
    workdir = setting.folder / "plain"
    words = command(setting, workdir)
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIME_LIMIT)
    assert done.returncode == 0, done.stderr
    return workdir


def saved_by(setting: Setting, topology: str) -> Path:
    """The run as a topology leaves it when it is killed after the save of step 3."""
    workdir = setting.folder / topology
    if not workdir.exists():
        made = setting.folder / f"{topology}.made"
        told = run(setting, made, topology)
        count, devices, _ = TOPOLOGIES[topology]
        assert f"processes: {count}, coordinated at localhost:" in told
        assert f"devices: {devices} local, {count * devices} in all" in told
        made.rename(workdir)
    return workdir


def assert_continues(setting: Setting, plain: Path, by: str, other: str, workdir: Path) -> None:
    """The rows of a run that `by` began and `other` continued are those of a single process."""
    shutil.copytree(saved_by(setting, by), workdir)
    shutil.rmtree(workdir / "checkpoints" / str(LAST))
    assert f"resumed from step {SAVED} of {LAST}" in run(setting, workdir, other)
    assert_same_rows(workdir, plain)


def assert_same_rows(workdir: Path, plain: Path) -> None:
    rows, expected = rows_without_clock(workdir), rows_without_clock(plain)
    assert [(row["step"], row["split"]) for row in rows] == STEPS
    for row, wanted in zip(rows, expected, strict=True):
        assert row.keys() == wanted.keys()
        numbers = [name for name, value in row.items() if isinstance(value, float)]
        np.testing.assert_allclose(
            [row[name] for name in numbers],
            [wanted[name] for name in numbers],
            **TOLERANCE["mesh"],
            err_msg=str(row),
        )


@pytest.mark.hard
def test_two_processes_save_and_one_resumes(setting: Setting, plain: Path, tmp_path: Path) -> None:
    assert_same_rows(saved_by(setting, "two"), plain)
    assert_continues(setting, plain, "two", "one", tmp_path / "run")


@pytest.mark.hard
@pytest.mark.parametrize(("by", "other"), [p for p in PAIRS if p != ("two", "one")])
def test_any_number_of_processes_resumes_what_another_number_saved(
    setting: Setting, plain: Path, tmp_path: Path, by: str, other: str
) -> None:
    assert_continues(setting, plain, by, other, tmp_path / "run")


@pytest.mark.hard
@pytest.mark.parametrize("mesh", [(), ("--mesh=fsdp:2,tensor:2",)], ids=["whole", "spread"])
def test_processes_evaluate_as_one(setting: Setting, plain: Path, mesh: tuple[str, ...]) -> None:
    words = [*command(setting, plain)[:2], "evaluate", f"--workdir={plain}", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIME_LIMIT)
    expected = json.loads(done.stdout)
    first, second = run_together([[*words, *mesh]] * 2, devices=2)
    assert (second.out, second.err) == ("", "")
    warned = first.err.splitlines(keepends=True)
    about = [line for line in warned if "mesh: vocab of" in line]  # 13 of them on two devices
    assert bool(about) == bool(mesh)
    assert "".join(line for line in warned if line not in about) == done.stderr
    found = json.loads(first.out)
    assert found["num_targets"] == expected["num_targets"]
    assert found["baseline"] == expected["baseline"]
    np.testing.assert_allclose(found["loss"], expected["loss"], **TOLERANCE["mesh"])


def long(setting: Setting, workdir: Path) -> list[str]:
    """The command of a run that lasts until it is stopped."""
    fields = {"num_steps": 60, "log_every": 1, "evaluate_every": 10, "checkpoint_every": 10}
    return command(setting, workdir, "--heartbeat_timeout=30", **fields)


@pytest.mark.hard
@pytest.mark.parametrize(
    ("index", "number", "status"),
    [(0, signal.SIGINT, 130), (1, signal.SIGTERM, 143)],
    ids=["SIGINT to the first process", "SIGTERM to the second"],
)
def test_a_signal_to_one_process_stops_all_at_the_same_step(
    setting: Setting, tmp_path: Path, index: int, number: signal.Signals, status: int
) -> None:
    workdir = tmp_path / "run"
    together = Together([[*long(setting, workdir), "--config.training.num_steps=4000"]] * 2)
    together.wait_for_step(workdir, 5)
    together.signal(index, number)
    first, second = together.end()
    assert (first.status, second.status) == (status, status), (first, second)
    last = read_rows(workdir / "metrics.jsonl")[-1]["step"]
    assert first.line == f"stopped at step {last}, which is saved; the same command resumes"
    assert second.err == ""
    assert ("Ctrl-C again to stop at once" in first.err) is (number == signal.SIGINT)
    assert (workdir / "checkpoints" / str(last) / "seal.json").exists()


LOST = "start all of them again to resume from the last checkpoint"


@pytest.mark.hard
def test_repeated_kills_do_not_change_the_rows(setting: Setting, tmp_path: Path) -> None:
    """Whichever process is killed, the other ends with one line; the final rows are the same."""
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    run_together([long(setting, undisturbed)] * 2)
    rng = random.Random(0)
    for kill, victim in enumerate((0, 1, 1)):
        together = Together([long(setting, disturbed)] * 2)
        together.wait_for_step(disturbed, 12 + 15 * kill + rng.randint(0, 9))
        time.sleep(rng.uniform(0, 0.02))
        together.signal(victim, signal.SIGKILL)
        ended = together.end()
        assert ended[victim].status == -signal.SIGKILL
        other = ended[1 - victim]
        assert (other.status, other.line.endswith(LOST)) == (1, True), other
        assert "Traceback" not in other.err and other.err.count("train: ") == 1
    run_together([long(setting, disturbed)] * 2)
    assert rows_without_clock(disturbed) == rows_without_clock(undisturbed)


@pytest.mark.hard
def test_a_missing_process_is_waited_for_and_reported(setting: Setting, tmp_path: Path) -> None:
    """Proxies are not used to reach process 0, and process 0 alone is not enough."""
    words = [*command(setting, tmp_path / "run"), "--start_timeout=4"]
    together = Together([words, words], http_proxy="http://127.0.0.1:9")
    together.signal(1, signal.SIGKILL)
    first, _ = together.end()
    assert first.status == 1
    (line,) = first.err.splitlines()
    assert line.startswith("train: not all 2 processes connected to localhost:")
    assert not (tmp_path / "run").exists()


@pytest.mark.hard
def test_a_mistake_in_one_process_ends_all(setting: Setting, tmp_path: Path) -> None:
    own, other = command(setting, tmp_path / "run"), tmp_path / "nowhere.txt"
    ended = run_together([own, [*own, f"--config.data.path={other}"]], status=2)
    told = f"data.path={other}: no such file"
    assert [e.err.count("train: ") for e in ended] == [1, 1]
    assert ended[0].line.startswith(f"train: process 1: {told}")
    assert ended[1].err.startswith(f"train: {told}")


@pytest.mark.hard
def test_a_full_disk_ends_all_and_keeps_what_is_saved(
    setting: Setting, plain: Path, tmp_path: Path
) -> None:
    """If the save of one process fails, the others wait for it to commit."""
    with small_disk(tmp_path / "disk", 100_000) as disk:
        seen = disk.seen / "run"
        words = [*disk.prefix, *command(setting, disk.path / "run")]
        run_together([words] * 2)
        shutil.rmtree(seen / "checkpoints" / str(LAST))
        disk.resize(disk.used() + 12)
        ended = run_together([words] * 2, status=1)
        assert all(e.err.count("train: ") == 1 for e in ended), ended
        assert all("No space left on device" in e.line for e in ended), ended
        assert not (seen / "checkpoints" / str(LAST)).exists()
        disk.resize(100_000)
        assert f"resumed from step {SAVED} of {LAST}" in run_together([words] * 2)[0].err
        assert_same_rows(seen, plain)


@pytest.mark.hard
def test_the_tasks_of_a_slurm_step_find_each_other(
    setting: Setting, plain: Path, tmp_path: Path
) -> None:
    workdir = tmp_path / "run"
    job = str(random.SystemRandom().randrange(10**6))  # jax derives the port from it
    step = {"JOB_ID": job, "STEP_NODELIST": "localhost", "NTASKS": "2"}
    processes = [
        subprocess.Popen(
            [*command(setting, workdir), "--distributed=auto"],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ
            | {f"SLURM_{name}": value for name, value in step.items()}
            | {"SLURM_PROCID": str(index), "SLURM_LOCALID": str(index), "JAX_PLATFORMS": "cpu"},
        )
        for index in range(2)
    ]
    told = [process.communicate(timeout=TIME_LIMIT)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    assert "processes: 2, coordinated at localhost:" in told[0]
    assert_same_rows(workdir, plain)
