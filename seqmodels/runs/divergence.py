"""Record that a run has diverged, which other processes read. Imports no jax."""

from __future__ import annotations

import contextlib
from pathlib import Path

from seqmodels.distributed.processes import is_main
from seqmodels.runs.opening import read_json
from seqmodels.runs.workdir import write_json

RECORD = "diverged.json"


def record_divergence(workdir: Path, problem: str) -> None:
    """Records, in process 0, why a run cannot continue; a disk that is full has other worries."""
    if is_main():
        with contextlib.suppress(OSError):
            write_json(workdir / RECORD, {"problem": problem})


def clear_divergence(workdir: Path) -> None:
    """Removes the record, in process 0, when the run is resumed."""
    if is_main():
        (workdir / RECORD).unlink(missing_ok=True)


def find_divergence(workdir: Path) -> str | None:
    """Why the run diverged, in a line; None if it did not.

    Raises:
      UserError: the record is damaged.
    """
    path = workdir / RECORD
    return str(read_json(path).get("problem")) if path.exists() else None
