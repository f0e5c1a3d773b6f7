"""States of the runs of a sweep, read from their directories. Imports no jax."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqmodels.runs.divergence import find_divergence
from seqmodels.runs.follow import Update, seconds_left, watch
from seqmodels.runs.opening import read_config
from seqmodels.sweeps.jobs import SLURM, Job, last_line, read_job

SIGNALLED = (130, 143)
"""Exit statuses of a run that a signal ended after it had saved."""
_GOING = ("RUNNING", "COMPLETING", "SIGNALING", "STAGE_OUT")
_ENDED = ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "TIMEOUT")
"""States of Slurm in which a job trains, and in which it is over but shown for some minutes."""


class State(enum.StrEnum):
    """waiting: not started. queued: Slurm has it. running: a process trains it, or is about to.
    stopped: a signal or a kill ended it, and the same command continues it. failed: its process
    ended with an error. diverged: its loss was not finite. done: every step is taken and saved."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"
    DIVERGED = "diverged"
    DONE = "done"

    @property
    def in_flight(self) -> bool:
        """Whether a job of it exists."""
        return self in (State.QUEUED, State.RUNNING)


@dataclasses.dataclass(frozen=True)
class Status:
    """The state of a run.

    Attributes:
      state: see `State`.
      step, num_steps: the last step with a row, and the last one planned.
      loss: of the last row; None without rows.
      seconds_left: of training, estimated; None if unknown.
      note: why it failed or diverged, in a line, or what Slurm says about it; may be empty.
      job: the last job; None if it had none.
    """

    state: State
    step: int
    num_steps: int
    loss: float | None
    seconds_left: float | None
    note: str
    job: Job | None

    def to_json(self) -> dict[str, Any]:
        values = dataclasses.asdict(self)
        return {**values, "state": self.state.value, "job": values["job"]}


Queue = Mapping[str, tuple[str, str]]
"""Jobs of Slurm: number -> (state, reason)."""


def read_status(workdir: Path, queue: Queue | None = None) -> Status:
    """Reads the state of a run.

    Args:
      queue: the jobs of Slurm; None where Slurm does not answer, so that a job that has not ended
        counts as queued.

    Raises:
      UserError: a file of the directory is damaged.
    """
    config = read_config(workdir)
    with contextlib.closing(watch(workdir, config)) as updates:
        update = next(updates)
    job = read_job(workdir)
    state, note = _judge(workdir, update, job, queue)
    rows = update.rows
    running = state is State.RUNNING
    return Status(
        state,
        rows[-1]["step"] if rows else 0,
        update.num_steps,
        rows[-1]["loss"] if rows else None,
        seconds_left(rows, update.num_steps) if running and rows else None,
        note,
        job,
    )


def _judge(
    workdir: Path, update: Update, job: Job | None, queue: Queue | None
) -> tuple[State, str]:
    if update.trains or (job is not None and job.runs_here()):
        return State.RUNNING, ""
    if job is not None and job.executor == SLURM:
        state, reason = ("", "Slurm does not answer") if queue is None else _entry(queue, job)
        if state in _GOING:
            return State.RUNNING, ""
        if (state and not state.startswith(_ENDED)) or (queue is None and job.status is None):
            return State.QUEUED, f"{state.lower()}: {reason}".removeprefix(": ")
    if update.done:
        return State.DONE, ""
    if (problem := find_divergence(workdir)) is not None:
        return State.DIVERGED, problem
    if job is None:
        return (State.STOPPED, "") if any(update.saved) else (State.WAITING, "")
    if job.status in SIGNALLED:
        return State.STOPPED, ""
    if job.status is None:  # nothing was left to record it
        return State.STOPPED, f"killed; {last_line(workdir, job)}".removesuffix("; ")
    return State.FAILED, last_line(workdir, job) or f"exit status {job.status}"


def _entry(queue: Queue, job: Job) -> tuple[str, str]:
    return queue.get(job.job_id or "", ("", ""))
