"""One run killed again and again, at any moment: start-up, steps, saves, evaluation."""

from __future__ import annotations

import random
import time
from pathlib import Path

from seqmodels.training.writers import read_rows
from tests.training.runs import NUM_STEPS, assert_same_run, make_setting


def test_killed_at_random_moments_ends_with_the_same_bits(tmp_path: Path) -> None:
    setting = make_setting(tmp_path)
    setting.finish(tmp_path / "warm")  # fills the caches, so that the runs below take alike long
    started = time.monotonic()
    setting.finish(tmp_path / "undisturbed")
    whole = time.monotonic() - started
    rng, disturbed, kills = random.Random(0), tmp_path / "disturbed", 0
    while kills < 6:
        process = setting.start(disturbed)
        time.sleep(rng.uniform(0.1, 0.7) * whole)
        process.kill()
        process.communicate()
        if process.returncode == 0:
            break
        kills += 1
    setting.finish(disturbed)
    assert kills >= 1
    assert read_rows(disturbed / "metrics.jsonl")[-1]["step"] == NUM_STEPS
    assert_same_run(tmp_path / "undisturbed", disturbed)
