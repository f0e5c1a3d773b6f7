"""A hostile cluster: every run of a sweep is killed at random three times or more."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from seqmodels.runs.rows import read_rows
from seqmodels.sweeps.jobs import Job, read_job
from tests.faults.figures import record
from tests.training.runs import ROOT, Setting, assert_same_run, make_setting

# Twelve for the figures of the page, which take a quarter of an hour.
RUNS = 12 if "FAULTS_FIGURES" in os.environ else 3
LEAST, NUM_STEPS = 3, 1200
LIMIT_S = 3000


def start_sweep(setting: Setting, root: Path) -> subprocess.Popen[str]:
    """Starts, or continues, the sweep."""
    rare = ("--config.training.evaluate_every=240", "--config.training.checkpoint_every=60")
    words = setting.command(root, f"--config.training.num_steps={NUM_STEPS}", *rare)
    flags = [word for word in words[3:] if not word.startswith("--workdir=")]
    sweep = (f"--sweep.training.seed=0..{RUNS - 1}", f"--root={root}", "--parallel=2")
    return subprocess.Popen(
        [sys.executable, str(ROOT / "launch.py"), "sweep", *flags, *sweep],
        stderr=subprocess.PIPE,
        text=True,
    )


class Killer:
    """Kills jobs that have begun a step, each with SIGKILL or SIGTERM and after a random wait."""

    def __init__(self, root: Path, rng: random.Random) -> None:
        self._rng = rng
        self.kills = {root / f"seed={seed}": 0 for seed in range(RUNS)}
        self.signals: list[str] = []
        self._seen: dict[int, tuple[int, float]] = {}

    def look(self) -> None:
        """Kills the jobs whose time has come."""
        for workdir, count in self.kills.items():
            job = read_job(workdir) if count < LEAST and workdir.is_dir() else None
            if job is None or job.pid is None or not job.runs_here():
                continue
            rows = read_rows(workdir / "metrics.jsonl")
            step = rows[-1]["step"] if rows else 0
            first, wait = self._seen.setdefault(job.pid, (step, self._rng.uniform(0, 0.3)))
            # A third of the kills may fall on the start, and the rest on the steps.
            if step > first or wait > 0.2:
                time.sleep(wait)
                self._kill(workdir, job)

    def _kill(self, workdir: Path, job: Job) -> None:
        number = self._rng.choice((signal.SIGKILL, signal.SIGTERM))
        if job.pid is None or not job.runs_here():
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(job.pid, number)
            self.kills[workdir] += 1
            self.signals.append(number.name)
        until = time.monotonic() + 60
        while job.runs_here() and time.monotonic() < until:
            time.sleep(0.01)


def taken_again(workdir: Path) -> int:
    """Steps that a run took more than once, at most: those of rows that were cut."""
    text = (workdir / "log.txt").read_text()
    lost, last = 0, 0
    for match in re.finditer(r"resumed from step (\d+)|step (\d+)/\d+", text):
        if match[1]:
            lost, last = lost + max(last - int(match[1]), 0), int(match[1])
        else:
            last = int(match[2])
    return lost


def test_a_sweep_that_is_killed_again_and_again_ends_with_the_same_bits(tmp_path: Path) -> None:
    setting = make_setting(tmp_path)
    calm, hostile = tmp_path / "calm", tmp_path / "hostile"
    process = start_sweep(setting, calm)
    _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, errors
    killer, until, commands = Killer(hostile, random.Random()), time.monotonic() + LIMIT_S, 0
    while True:
        process, commands = start_sweep(setting, hostile), commands + 1
        while process.poll() is None:
            killer.look()
            time.sleep(0.005)
            assert time.monotonic() < until
        _, errors = process.communicate()
        if process.returncode == 0:
            break
        assert "Traceback" not in errors, errors
        assert re.search(r"\d+ (done|stopped)", errors.splitlines()[-1]), errors
    assert min(killer.kills.values()) >= LEAST, killer.kills
    lost = 0
    for workdir in killer.kills:
        assert_same_run(workdir, calm / workdir.name)
        lost += taken_again(workdir)
    figures = {"runs": RUNS, "steps": NUM_STEPS, "kills": sum(killer.kills.values())}
    signals = {name: killer.signals.count(name) for name in sorted(set(killer.signals))}
    record("hostile", {**figures, "signals": signals, "lost": lost, "commands": commands})
