"""`sweep --pack`: which runs train together, and that each is the run that it is alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.packing import pack_tasks, split_evenly
from seqmodels.config.files import load_config
from seqmodels.runs.rows import read_rows
from seqmodels.sweeps.grid import plan
from seqmodels.sweeps.jobs import read_job
from seqmodels.sweeps.local import Task
from tests.experiments.conftest import FrontDoor, Small

SEEDS = {"training.seed": "0..3"}


def group(sweeps: dict[str, str], parallel: int, **model: float) -> list[list[str]]:
    """The names of the runs of each task."""
    config = load_config("demo_lstm")
    vars(config.model).update(model)
    runs = plan(config, sweeps, None)
    tasks = [Task((Path(run.name),), ("--words",)) for run in runs]
    packed = pack_tasks(tasks, {Path(run.name): run.config for run in runs}, parallel)
    assert all(task.words == ("--words",) for task in packed)
    return [[path.name for path in task.workdirs] for task in packed]


def test_runs_that_differ_in_numbers_alone_are_one_task_per_process() -> None:
    names = [f"seed={seed}" for seed in range(4)]
    assert group(SEEDS, 1) == [names]
    assert group(SEEDS, 2) == [names[:2], names[2:]]
    assert group(SEEDS, 9) == [[name] for name in names]
    widths = group({"model.hidden_dim": "64,128", **SEEDS}, 1)
    assert [len(part) for part in widths] == [4, 4]
    assert all("hidden_dim=64" in name for name in widths[0])


def test_runs_with_other_flags_are_apart() -> None:
    runs = plan(load_config("demo_lstm"), SEEDS, None)
    tasks = [Task((Path(run.name),), (f"--{n % 2}",)) for n, run in enumerate(runs)]
    packed = pack_tasks(tasks, {Path(run.name): run.config for run in runs}, 1)
    assert [task.words for task in packed] == [("--0",), ("--1",)]


def test_what_cannot_be_packed_trains_alone(capsys: pytest.CaptureFixture[str]) -> None:
    config = load_config("demo_lstm")
    config.training.init_from = "runs/first"
    runs = plan(config, SEEDS, None)
    tasks = [Task((Path(run.name),)) for run in runs]
    assert pack_tasks(tasks, {Path(run.name): run.config for run in runs}, 1) == tasks
    assert "not packed: seed=0: training.init_from=runs/first" in capsys.readouterr().err


@pytest.mark.parametrize(("size", "count"), [(7, 3), (1, 4), (6, 2), (5, 5)])
def test_parts_differ_by_one_at_most(size: int, count: int) -> None:
    items = [Path(str(n)) for n in range(size)]
    parts = list(split_evenly(items, count))
    assert [path for part in parts for path in part] == items
    sizes = {len(part) for part in parts}
    assert len(parts) == min(size, count) and max(sizes) - min(sizes) <= 1


@pytest.mark.grid
def test_a_packed_sweep_is_the_sweep(door: FrontDoor, small: Small, tmp_path: Path) -> None:
    sweep = ("--sweep.optimizer.peak_lr=1e-3,3e38", "--sweep.training.seed=0..1")
    root, alone = tmp_path / "s", tmp_path / "alone"
    answer = door("sweep", *small.words(), *sweep, f"--root={root}", "--pack", "--json")
    states = {name: one["state"] for name, one in json.loads(answer.out).items()}
    assert list(states.values()) == ["done", "done", "diverged", "diverged"]
    numbers = {job.pid for name in states if (job := read_job(root / name)) is not None}
    assert len(numbers) == 1
    words = ("--config.optimizer.peak_lr=1e-3", "--config.training.seed=1")
    door("train", *small.words(*words), f"--workdir={alone}")
    one, two = (read_rows(p / "metrics.jsonl") for p in (root / "peak_lr=0.001,seed=1", alone))
    assert [row["step"] for row in one] == [row["step"] for row in two]
    for left, right in zip(one, two, strict=True):
        assert left["loss"] == pytest.approx(right["loss"], rel=1e-5)
