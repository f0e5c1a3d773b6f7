"""The part of a Slurm job that submitit starts: it trains in a process below it. Imports no jax.

    USR2, the signal before the time limit or a preemption, and TERM become TERM for the training,
    which saves the step that it is at and ends; then the job is requeued and resumes.

submitit has installed handlers of its own before, which would save inside the signal, exit, and
ignore TERM; these replace them.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from seqmodels.sweeps.jobs import SLURM, Job
from seqmodels.sweeps.local import CODE, Task, end_jobs, job_command, job_environment, write_jobs
from seqmodels.sweeps.states import SIGNALLED

_LOOK_S = 0.2
_CANCELLED = ("COMPLETING", "CANCELLED", "")


@dataclasses.dataclass
class TrainingJob:
    """A job of a run or a pack, as submitit calls it on the node, once per task.

    Attributes:
      workdirs: of the runs.
      words: flags of `train` besides --workdir.
      retries: how often the job is started again if it fails.
    """

    workdirs: tuple[str, ...]
    words: tuple[str, ...] = ()
    retries: int = 0

    def __call__(self) -> None:
        number = os.environ["SLURM_JOB_ID"]
        task = int(os.environ.get("SLURM_PROCID", "0"))
        signals: list[int] = []
        received = lambda signum, frame: signals.append(signum)
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
            signal.signal(each, received)
        signal.signal(signal.SIGCONT, _ignore)
        for attempt in range(self.retries + 1):
            if task == 0:
                write_jobs(self._runs, Job(SLURM, job_id=number, attempt=attempt))
            status = self._train(task, signals)
            if status in (0, *SIGNALLED) or signals:
                break
        if task == 0 and status > 0:
            end_jobs(self._runs, status)
        stopped = bool(signals) and (status in SIGNALLED or status < 0)
        if task == 0 and stopped and _is_preempted(number, signals):
            write_jobs(self._runs, Job(SLURM, job_id=number))
            subprocess.run(["scontrol", "requeue", number], check=True, timeout=60)
        sys.exit(status if status >= 0 else 128 - status)

    @property
    def _runs(self) -> Task:
        return Task(tuple(map(Path, self.workdirs)), self.words)

    def _train(self, task: int, signals: list[int]) -> int:
        """Trains, and hands signals on; returns the exit status, below 0 if it was killed."""
        log = self._runs.log if task == 0 else self._runs.log.with_name(f"log.{task}.txt")
        with log.open("ab") as out:
            process = subprocess.Popen(
                job_command(self._runs),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=CODE,
                env=job_environment(),
                preexec_fn=_ignore_usr2,
            )
        sent = False
        while process.poll() is None:
            if signals and not sent:
                process.terminate()
                sent = True
            time.sleep(_LOOK_S)
        return process.returncode


def _ignore(number: int, frame: FrameType | None) -> None:
    """Does nothing: Slurm sends CONT before TERM."""


def _ignore_usr2() -> None:
    """In the process that trains, which Slurm signals too: by itself USR2 would end it."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def _is_preempted(number: str, signals: list[int]) -> bool:
    """Whether a job is to be requeued: not where its user has cancelled it."""
    if signal.SIGUSR2 in signals:
        return True
    command = ["squeue", f"--jobs={number}", "--noheader", "--format=%T"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.stdout.strip() not in _CANCELLED
