"""One run killed again and again, at any moment: start-up, steps, saves, evaluation."""

from __future__ import annotations

import random
import time
from pathlib import Path

from seqmodels.training.writers import read_rows
from tests.training.runs import NUM_STEPS, assert_same_run, make_setting, wait_for_step

KILLS = 6


def test_killed_at_random_moments_ends_with_the_same_bits(tmp_path: Path) -> None:
    """Half of the kills come soon after the start, half at a row behind all that was reached."""
    setting = make_setting(tmp_path)
    setting.finish(tmp_path / "undisturbed")
    rng, disturbed = random.Random(0), tmp_path / "disturbed"
    rows, kills = sorted(rng.sample(range(12, NUM_STEPS - 60, 6), KILLS // 2)), 0
    for attempt in range(KILLS):
        process = setting.start(disturbed)
        if attempt % 2:
            wait_for_step(process, disturbed, rows[attempt // 2])
            time.sleep(rng.uniform(0, 0.02))
        else:
            time.sleep(rng.uniform(0.1, 3.0))
        process.kill()
        process.communicate()
        kills += process.returncode != 0
    setting.finish(disturbed)
    assert kills >= KILLS // 2
    assert read_rows(disturbed / "metrics.jsonl")[-1]["step"] == NUM_STEPS
    assert_same_run(tmp_path / "undisturbed", disturbed)
