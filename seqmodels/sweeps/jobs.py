"""Jobs: the processes that train the runs of a sweep, as recorded next to what they train.

    WORKDIR/job.json  where the last job of the run was started, and how it ended
    WORKDIR/log.txt   what its jobs have printed

Everything is read from these files and from the system, never from an object of the program that
started a job, so that any process can find them again. Imports no jax.
"""

from __future__ import annotations

import dataclasses
import os
import socket
from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError
from seqmodels.runs.opening import read_json
from seqmodels.runs.workdir import write_json

JOB, LOG = "job.json", "log.txt"
LOCAL, SLURM = "local", "slurm"
_TAIL = 4096  # bytes


@dataclasses.dataclass(frozen=True)
class Job:
    """A job of a run.

    Attributes:
      executor: local or slurm.
      host, pid, started: local: the process, and when it started in ticks of the system, since
        another process may have its number later.
      job_id: slurm: the number of the job.
      attempt: how often the run has failed and was started again.
      log: the file of what it prints, from the directory of the run; None = `LOG`.
      status: its exit status; None until it ends, and for good if it is killed.
    """

    executor: str
    host: str | None = None
    pid: int | None = None
    started: int | None = None
    job_id: str | None = None
    attempt: int = 0
    log: str | None = None
    status: int | None = None

    def runs_here(self) -> bool:
        """Whether it is a process of this machine that still runs."""
        if self.executor != LOCAL or self.host != socket.gethostname() or self.pid is None:
            return False
        return self.status is None and start_time(self.pid) == self.started


def start_time(pid: int) -> int | None:
    """When a process started, in ticks since the system did; None if there is no such process.

    Where there is no /proc, 0 for every process that exists.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        try:
            os.kill(pid, 0)
        except OSError:
            return None
        return 0
    state, *fields = text.rpartition(")")[2].split()  # a name may contain spaces
    return None if state == "Z" else int(fields[18])


def write_job(workdir: Path, job: Job) -> None:
    """Records the last job of a run."""
    workdir.mkdir(parents=True, exist_ok=True)
    values = dataclasses.asdict(job)
    write_json(workdir / JOB, {name: x for name, x in values.items() if x is not None})


def read_job(workdir: Path) -> Job | None:
    """The last job of a run; None if it had none.

    Raises:
      UserError: the record is damaged.
    """
    path = workdir / JOB
    if not path.exists():
        return None
    values: dict[str, Any] = read_json(path)
    try:
        return Job(**values)
    except TypeError as error:
        raise UserError(f"{path}: cannot be read: {error}; delete it") from None


def end_job(workdir: Path, status: int) -> None:
    """Records the exit status of the job of a run."""
    if (job := read_job(workdir)) is not None:
        write_job(workdir, dataclasses.replace(job, status=status))


def last_line(workdir: Path, job: Job) -> str:
    """The last line that the job of a run has printed; empty if there is none."""
    try:
        with (workdir / (job.log or LOG)).open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _TAIL, 0))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return lines[-1] if lines else ""
