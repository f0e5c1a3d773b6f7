"""Jobs of Slurm, as `squeue` reports them. Imports no jax."""

from __future__ import annotations

import subprocess

from seqmodels.sweeps.states import Queue

_TIMEOUT_S = 30


def read_queue() -> Queue | None:
    """The jobs of this user that Slurm knows: number -> state and reason; None without an answer.

    `sacct` is not asked: many clusters do not have it.
    """
    command = ["squeue", "--me", "--noheader", "--states=all", "--format=%A|%T|%r"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    entries = (line.strip().split("|") for line in done.stdout.split("\n") if line.strip())
    return {job: (state, reason) for job, state, reason in entries}
