"""SIGTERM and Ctrl-C in every phase of a run: the right exit status, and nothing lost."""

from __future__ import annotations

import signal
from pathlib import Path

from seqmodels.runs.checkpoints import Checkpoints
from seqmodels.runs.seals import SealState
from tests.faults.figures import record
from tests.faults.watching import start
from tests.training.runs import Setting, assert_same_run

TERM, INT, TWICE = "SIGTERM", "Ctrl-C", "Ctrl-C twice"
# Phase, how often it is entered before the signal, signal, exit status. Before training starts
# SIGTERM ends the process as it ends any other; a shell reports that as 143 too.
CASES = [
    *(("preparation", 1, TERM, -15), ("preparation", 1, INT, 130)),
    *(("start", 1, TERM, -15), ("start", 1, INT, 130)),
    *(("feeding", 1, TERM, 143), ("feeding", 4, INT, 130)),
    *(("evaluation", 1, TERM, 143), ("evaluation", 1, INT, 130)),
    *(("saving", 1, TERM, 143), ("saving", 1, INT, 130)),
    *(("saving", 1, TWICE, 130), ("evaluation", 1, TWICE, 130)),
]
SLOW = "preparation=0.1,evaluation=0.1,saving=0.01,feeding=0.05"
NEVER_ENDS = "saving=600,evaluation=600"  # a command that waits for these does not stop at once
NAMES = {"start": "start-up", "feeding": "steps, before a step's end"}


def sealed(workdir: Path) -> list[int]:
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        return [s for s in checkpoints.steps() if checkpoints.seal_state(s)[0] is SealState.SEALED]


def test_signals_in_every_phase_lose_nothing(
    setting: Setting, undisturbed: Path, tmp_path: Path
) -> None:
    workdir, figures = tmp_path / "disturbed", []
    command = [*setting.command(workdir), f"--config.data.cache_dir={tmp_path / 'cache'}"]
    for phase, times, name, expected in CASES:
        before = sealed(workdir)
        watched = start(command, tmp_path, slow=NEVER_ENDS if name == TWICE else SLOW)
        watched.wait_for(phase, times)
        if name == TWICE:
            watched.process.send_signal(signal.SIGINT)
            watched.wait_for_line("Ctrl-C again to stop at once")
        watched.process.send_signal(signal.SIGTERM if name == TERM else signal.SIGINT)
        status, errors = watched.end()
        after = sealed(workdir)
        case = f"{name} in {phase}: {status}, {before} -> {after}\n{errors}"
        assert "Traceback" not in errors, case
        assert status == expected, case
        if name != TWICE and phase not in ("preparation", "start"):
            assert f"stopped at step {after[-1]}, which is saved" in errors, case
        else:
            assert after == before, case
            assert "which is saved" not in errors, case
        saved = f"step {after[-1]}" if after != before else "nothing new"
        figures.append([NAMES.get(phase, phase), name, status, saved])
    setting.finish(workdir, f"--config.data.cache_dir={tmp_path / 'cache'}")
    assert_same_run(undisturbed, workdir)
    record("signals", {"cases": figures})
