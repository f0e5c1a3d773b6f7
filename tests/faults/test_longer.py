"""A run that is trained longer, killed while its config changes and after."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from seqmodels.runs.changes import RECORD, read_changes
from seqmodels.runs.opening import read_config
from tests.faults.watching import start
from tests.training.runs import last_arrays, make_setting, rows_without_clock

SHORT, LONG = 40, 80
SLOW = "changing=0.3,steps=0.01"
MOST = {"changing": 1.5, "steps": 0.5, "saving": 0.1}
# Of changes.json, and of the new config.
NEITHER, RECORDED, BOTH = (False, False), (True, False), (True, True)


def moments(seen: set[tuple[bool, bool]]) -> Iterator[str]:
    """Yields the phase for each kill, until one fell between the two files, and one after them."""
    for _ in range(20):
        if not {RECORDED, BOTH} <= seen:
            yield "changing"
    yield from ("steps", "saving")


def test_a_change_that_is_killed_came_or_did_not_come(tmp_path: Path) -> None:
    setting, rng = make_setting(tmp_path), random.Random()
    schedule = ("--config.optimizer.schedule=constant", "--config.optimizer.warmup_steps=4")
    flags = {n: (*schedule, f"--config.training.num_steps={n}") for n in (SHORT, LONG)}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    setting.finish(whole, *flags[LONG])
    setting.finish(parts, *flags[SHORT])
    changed = [{"after_step": SHORT, "fields": {"training.num_steps": [SHORT, LONG]}}]
    seen: set[tuple[bool, bool]] = set()
    for phase in moments(seen):
        watched = start(setting.command(parts, *flags[LONG]), tmp_path, slow=SLOW)
        watched.wait_for(phase)
        time.sleep(rng.uniform(0, MOST[phase]))
        watched.process.kill()
        assert watched.end()[0] in (-signal.SIGKILL, 0)
        config, recorded = read_config(parts), (parts / RECORD).exists()
        came = config.training.num_steps == LONG
        assert read_changes(parts, config) == (changed if came else [])
        seen.add((recorded, came))
        if came and RECORDED not in seen:  # as it was, for the next kill
            values = json.loads((parts / "config.json").read_text())
            values["training"]["num_steps"] = SHORT
            (parts / "config.json").write_text(json.dumps(values))
            (parts / RECORD).unlink()
    assert {RECORDED, BOTH} <= seen <= {NEITHER, RECORDED, BOTH}
    setting.finish(parts, *flags[LONG])
    assert read_changes(parts, read_config(parts)) == changed
    left, right = last_arrays(whole), last_arrays(parts)
    assert left.keys() == right.keys()
    assert all(left[name].tobytes() == right[name].tobytes() for name in left)
    # The end of the shorter run was reported too.
    at_once = rows_without_clock(whole)
    rows = [r for r in rows_without_clock(parts) if (r["step"], r["split"]) != (SHORT, "train")]
    assert json.dumps(rows) == json.dumps(at_once)
