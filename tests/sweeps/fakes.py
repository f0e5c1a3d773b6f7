"""Sweeps without training: work directories as training leaves them, written by hand or by jobs
that take no time."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.files import load_config
from seqmodels.runs.workdir import write_json
from seqmodels.sweeps.grid import Planned, plan
from seqmodels.sweeps.local import Task
from seqmodels.sweeps.manifest import Manifest, claim_runs, make_manifest

SWEEPS = {"optimizer.peak_lr": "0.001,0.01", "training.seed": "0..1"}


def make_config() -> ExperimentConfig:
    config = load_config("demo_lstm")
    config.training.num_steps, config.training.evaluate_every = 20, 10
    config.optimizer.warmup_steps = 2
    return config


def make_sweep(root: Path) -> tuple[Manifest, list[Planned]]:
    """The manifest and the claimed directories of a sweep of four runs."""
    config = make_config()
    runs = plan(config, SWEEPS, None)
    root.mkdir(parents=True, exist_ok=True)
    claim_runs(root, runs)
    return make_manifest("demo_lstm", config, SWEEPS, None, runs, "abc"), runs


def write_rows(workdir: Path, losses: dict[int, float]) -> None:
    """Rows and checkpoints of a run: step -> validation loss."""
    with (workdir / "metrics.jsonl").open("w") as file:
        for step, loss in losses.items():
            for split in ("train", "validation"):
                row = {"step": step, "split": split, "loss": loss, "seconds": step / 10}
                file.write(json.dumps(row) + "\n")
            (workdir / "checkpoints" / str(step)).mkdir(parents=True, exist_ok=True)


PROGRAM = """
import json, os, pathlib, signal, sys, time
workdir = pathlib.Path(sys.argv[1])
plan = workdir.parent.with_name("plans") / (workdir.name + ".json")
words = json.loads(plan.read_text())["plan"] if plan.exists() else ["end"]
word = words.pop(0)
plan.parent.mkdir(exist_ok=True)
plan.write_text(json.dumps({"plan": words}))
(workdir / "started.json").write_text(json.dumps(sys.argv[2:]))
print("training", flush=True)
others = [path for path in workdir.parent.iterdir() if path.is_dir() and path != workdir]
if word == "wait":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    (workdir / "waits").touch()
    time.sleep(600)
if word == "meet":  # ends only while another one runs
    until = time.monotonic() + 100
    while not any((path / "started.json").exists() for path in others):
        if time.monotonic() > until:
            sys.exit("train: alone")
        time.sleep(0.01)
if word == "last" and not any((path / "ended").exists() for path in others):
    sys.exit("train: the others still run")
if word == "fail":
    sys.exit("train: no room")
if word == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if word == "diverge":
    (workdir / "diverged.json").write_text(json.dumps({"problem": "step 3 is not finite"}))
    sys.exit(1)
for step in (10, 20):
    (workdir / "checkpoints" / str(step)).mkdir(parents=True, exist_ok=True)
with open(workdir / "metrics.jsonl", "w") as f:
    for split in ("train", "validation"):
        row = {"step": 20, "split": split, "loss": 2.5, "seconds": 1.0}
        f.write(json.dumps(row) + chr(10))
(workdir / "ended").touch()
"""


def fake_command(task: Task) -> list[str]:
    """Instead of `job_command`: what the job does is read from a file next to the sweep."""
    return [sys.executable, "-S", "-c", PROGRAM, str(task.workdirs[0]), *task.words]


def tell_jobs(workdir: Path, *words: str) -> None:
    """What the next jobs of a run do: end, fail, kill, diverge, wait, meet or last."""
    folder = workdir.parent.with_name("plans")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{workdir.name}.json", {"plan": list(words)})
