"""One run killed repeatedly: during start-up, preparation, steps, saves and evaluation."""

from __future__ import annotations

import collections
import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from seqmodels.runs.rows import read_rows
from tests.faults.figures import record
from tests.faults.watching import start
from tests.training.runs import assert_same_run, make_setting

NUM_STEPS, KILLS = 480, 20
FLAGS = (f"--config.training.num_steps={NUM_STEPS}",)
SLOW = "preparation=0.05,evaluation=0.05,saving=0.006,steps=0.002"
# The phase that a kill waits for, and the longest additional wait in seconds.
MOST = {"preparation": 0.6, "saving": 0.3, "evaluation": 0.3, "steps": 1.0, "start": 0.8}
SEEN = ("preparation", "saving", "evaluation")
AT_LEAST = 3


def moments(rng: random.Random, fell: collections.Counter[str]) -> Iterator[str]:
    """Yields the phase for each kill; repeats phases that were missed on a busy machine."""
    yield from 4 * ["preparation"]
    later = 5 * ["saving"] + 4 * ["evaluation"] + 4 * ["steps"] + 3 * ["start"]
    yield from rng.sample(later, k=KILLS - 4)
    for _ in range(KILLS):
        yield from [phase for phase in SEEN if fell[phase] < AT_LEAST][:1]


def found(cache: Path, workdir: Path) -> Iterator[str]:
    """Yields what a kill has left unfinished."""
    if list(cache.glob("tokens/*.partial")):
        yield "cache entry unfinished"
    checkpoints = list((workdir / "checkpoints").glob("*"))
    if any(path.name.endswith("-tmp") for path in checkpoints):
        yield "checkpoint unfinished"
    if any(path.name.isdecimal() and not (path / "seal.json").exists() for path in checkpoints):
        yield "checkpoint not sealed"
    metrics = workdir / "metrics.jsonl"
    steps = [int(path.name) for path in checkpoints if path.name.isdecimal()]
    if (
        metrics.exists()
        and read_rows(metrics)[-1:]
        and read_rows(metrics)[-1]["step"] > max(steps, default=0)
    ):
        yield "rows after the last checkpoint"


def test_killed_at_random_moments_ends_with_the_same_bits(tmp_path: Path) -> None:
    setting = make_setting(tmp_path)
    setting.finish(tmp_path / "undisturbed", *FLAGS)
    cache, disturbed = tmp_path / "cache", tmp_path / "disturbed"
    shutil.rmtree(cache)
    rng, reached = random.Random(), 0
    fell: collections.Counter[str] = collections.Counter()
    left: collections.Counter[str] = collections.Counter()
    for phase in moments(rng, fell):
        if phase == "preparation":  # keeps what a killed one leaves unfinished
            for entry in cache.glob("tokens/*/entry.json"):
                if not entry.parent.suffix:
                    shutil.rmtree(entry.parent)
        watched = start(setting.command(disturbed, *FLAGS), tmp_path, slow=SLOW)
        often = 3 if phase in ("saving", "evaluation") and reached < NUM_STEPS - 200 else 1
        watched.wait_for(phase, times=rng.randint(1, often))
        time.sleep(rng.uniform(0, MOST[phase]))
        watched.process.kill()
        assert watched.end()[0] == -signal.SIGKILL
        fell[watched.phase()] += 1
        left.update(found(cache, disturbed))
        rows = read_rows(disturbed / "metrics.jsonl")
        reached = max(reached, rows[-1]["step"] if rows else 0)
    setting.finish(disturbed, *FLAGS)
    assert read_rows(disturbed / "metrics.jsonl")[-1]["step"] == NUM_STEPS
    assert_same_run(tmp_path / "undisturbed", disturbed)
    assert all(fell[phase] >= AT_LEAST for phase in SEEN), fell
    steps = {"steps": NUM_STEPS, "killed up to step": reached}
    record("kills", {"kills": sum(fell.values()), "fell": dict(fell), "left": dict(left), **steps})
