"""`launch.py sweep`: many runs from one command, continued by it, and their table."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import job
from seqmodels.runs.rows import read_rows
from seqmodels.runs.workdir import write_json
from seqmodels.sweeps import local
from seqmodels.sweeps.jobs import LOCAL, Job, read_job, write_job
from tests.experiments.conftest import FrontDoor, Small
from tests.sweeps.fakes import fake_command, tell_jobs

SWEEP = ("--sweep.optimizer.peak_lr=1e-3,1e-2", "--sweep.training.seed=0..1")
NAMES = [f"peak_lr={rate},seed={seed}" for rate in ("0.001", "0.01") for seed in (0, 1)]
ONE = "--root=R --config=demo_lstm --sweep.training.seed=1"
MISTAKES = [
    ("", "--root=DIR is required"),
    ("--root=R", "R: no such directory"),
    ("--root=R --status --table", "--status and --table: give only one of the two"),
    ("--root=R --status --config=demo_lstm", "--status: takes only --root"),
    ("--root=R --config=demo_lstm", "--sweep.FIELD=VALUES is required; without it, use train"),
    ("--root=R --sweep.training.seed=1,2", "--config=NAME is required with --sweep"),
    ("--root=R --config=demo_lstm --sweeep.training.seed=1", "did you mean 'sweep'"),
    ("--root=R --config=demo_lstm --sweep.training.seeds=1", "did you mean 'seed'"),
    ("--root=R --config=demo_lstm --sweep.training.seed", "--sweep.training.seed: needs a value"),
    ("--root=R --config=demo_lstm --sweep.training.seed=1 --parallel=0", "--parallel=0: must be"),
    (f"{ONE} --slurm.time=5", "--slurm.time=5: needs --executor=slurm"),
    (f"{ONE} --executor=slurm", "--slurm.time=MINUTES is required with --executor=slurm"),
    (f"{ONE} --executor=slurm --slurm.tme=5", "--slurm.tme=5: is not known; did you mean 'time'"),
    (f"{ONE} --executor=slurm --slurm.time=1h", "--slurm.time=1h: must be an integer, 1 or more"),
    (f"{ONE} --executor=slrum", "--executor=slrum: must be one of: local, slurm"),
    (
        "--root=R --config=demo_lstm --sweep.training.seed=1 --sweep.training.seed=2",
        "--sweep.training.seed=2: is given twice",
    ),
]


@pytest.mark.parametrize(("words", "expected"), MISTAKES, ids=lambda text: text[-40:])
def test_a_mistake_is_one_line(door: FrontDoor, words: str, expected: str, tmp_path: Path) -> None:
    assert expected in door("sweep", *words.replace("=R", f"={tmp_path / 'R'}").split()).line
    assert not (tmp_path / "R").exists()


def test_a_dry_run_lists_the_runs_writes_nothing_and_loads_no_jax(
    small: Small, tmp_path: Path
) -> None:
    words = ["sweep", *small.words(), *SWEEP, f"--root={tmp_path / 's'}", "--dry_run", "--json"]
    code = f"import sys, launch; launch.main({words!r}); assert 'jax' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(json.loads(done.stdout)["runs"]) == NAMES
    assert not (tmp_path / "s").exists()


def test_a_sweep_is_continued_by_its_command(
    door: FrontDoor, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With jobs that take no time; the one below trains."""
    monkeypatch.setattr(local, "job_command", fake_command)
    root = tmp_path / "s"
    words = ("sweep", *small.words("--config.training.num_steps=20"), f"--root={root}")
    for name, told in zip(NAMES, ("end", "fail", "diverge", "kill"), strict=True):
        tell_jobs(root / name, told, "end")
    answer = door(*words, *SWEEP)
    assert answer.status == 1, answer.err
    assert answer.err.splitlines()[-1].startswith("1 done, 1 diverged, 1 failed, 1 stopped; ")
    # What was killed is continued; the others wait for a decision.
    answer = door(*words, *SWEEP)
    assert "seed=1: failed: train: no room; --retries=1 starts it again" in answer.err
    assert "seed=0: diverged: step 3 is not finite; delete it" in answer.err
    assert answer.err.splitlines()[-1].startswith("2 done, 1 diverged, 1 failed; ")
    answer = door("sweep", f"--root={root}", "--retries=1", "--json")
    states = {name: one["state"] for name, one in answer.json.items()}
    assert list(states.values()) == ["done", "done", "diverged", "done"]
    table = door("sweep", f"--root={root}", "--status", "--json").json
    assert {name: one["state"] for name, one in table.items()} == states
    # Another sweep in the same folder.
    other = (SWEEP[0], "--sweep.training.seed=1..2")
    plan = door(*words, *other, "--dry_run", "--json").json
    assert plan["added"] == ["peak_lr=0.001,seed=2", "peak_lr=0.01,seed=2"]
    assert plan["gone"] == ["peak_lr=0.001,seed=0", "peak_lr=0.01,seed=0"]
    refused = door(*words, *SWEEP, "--config.data.batch_size=2")
    assert "holds a sweep of another config, differing in data.batch_size: 4 -> 2" in refused.line
    kept = json.loads((root / "sweep.json").read_text())
    write_json(root / "sweep.json", {**kept, "code": {**kept["code"], "seqmodels/types.py": "0"}})
    assert "other code, differing in seqmodels/types.py: " in door(*words, *SWEEP).line
    write_json(root / "sweep.json", {**kept, "data": dict.fromkeys(kept["data"], "f" * 64)})
    assert "other data: fingerprint ffffffffffff -> " in door(*words, *SWEEP).line


def test_a_job_trains_and_records_its_end(small: Small, trained: Path, tmp_path: Path) -> None:
    workdir = tmp_path / "run"
    workdir.mkdir()
    shutil.copy(trained / "config.json", workdir)
    write_job(workdir, Job(LOCAL, "here", 1, 1))
    assert job.main([f"--workdir={workdir}"]) == 0
    assert read_job(workdir) == Job(LOCAL, "here", 1, 1, status=0)
    one, two = (read_rows(path / "metrics.jsonl") for path in (workdir, trained))
    assert [row["loss"] for row in one] == [row["loss"] for row in two]
    assert job.main([f"--workdir={workdir}", "--config.model.hidden_dim=7"]) == 2
    assert read_job(workdir) == Job(LOCAL, "here", 1, 1, status=2)


@pytest.mark.grid
def test_runs_are_trained_in_their_own_processes(
    door: FrontDoor, small: Small, tmp_path: Path
) -> None:
    root = tmp_path / "s"
    words = ("sweep", *small.words(), "--sweep.training.seed=0..2", f"--root={root}")
    answer = door(*words, "--parallel=2", "--json")
    assert {one["state"] for one in answer.json.values()} == {"done"}
    alone = tmp_path / "alone"
    door("train", *small.words(), "--config.training.seed=2", f"--workdir={alone}")
    one, two = (read_rows(path / "metrics.jsonl") for path in (root / "seed=2", alone))
    assert [row["loss"] for row in one] == [row["loss"] for row in two]
    saved = (root / "seed=0" / "checkpoints" / "6").stat().st_mtime_ns
    longer = door(*words, "--config.training.num_steps=9", "--json").json
    assert {one["step"] for one in longer.values()} == {9}
    assert (root / "seed=0" / "checkpoints" / "6").stat().st_mtime_ns == saved
    changes = json.loads((root / "seed=0" / "changes.json").read_text())["changes"]
    assert changes[0]["fields"] == {"training.num_steps": [6, 9]}
    table = door("sweep", f"--root={root}", "--table", "--json").json
    assert table["baseline"]["name"] == "ngram" and len(table["points"][0]["results"]) == 3
    assert (root / "baseline.json").exists()
    again = door("sweep", f"--root={root}", "--table", "--json").json
    assert again == table
