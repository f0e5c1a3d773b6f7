"""Execution of a sweep on this machine: one process per run, several at a time. Imports no jax."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from seqmodels.sweeps.jobs import LOCAL, LOG, Job, end_job, read_job, start_time, write_job
from seqmodels.sweeps.states import State, Status, read_status

_LOOK_S = 0.2
CODE = Path(__file__).parents[2]
_GPUS = "CUDA_VISIBLE_DEVICES"


@dataclasses.dataclass(frozen=True)
class Task:
    """Runs to train in one process: one, or several that are a pack.

    Attributes:
      workdirs: their directories.
      words: the flags of `train` besides --workdir.
    """

    workdirs: tuple[Path, ...]
    words: tuple[str, ...] = ()

    @property
    def log(self) -> Path:
        """The file of what its process prints."""
        return self.workdirs[0] / LOG


def write_jobs(task: Task, job: Job, workdirs: Sequence[Path] | None = None) -> None:
    """Records the job of each run of a task, or of some of them, with the log that all share."""
    for workdir in task.workdirs if workdirs is None else workdirs:
        log = None if len(task.workdirs) == 1 else os.path.relpath(task.log, workdir)
        write_job(workdir, dataclasses.replace(job, log=log))


def end_jobs(task: Task, status: int) -> None:
    """Records the exit status of a process for those of its runs that have none yet."""
    for workdir in task.workdirs:
        job = read_job(workdir)
        if job is not None and job.status is None:
            end_job(workdir, status)


def job_command(task: Task) -> list[str]:
    """The command of a job."""
    places = [f"--workdir={workdir}" for workdir in task.workdirs]
    return [sys.executable, "-m", "experiments.job", *places, *task.words]


def job_environment() -> dict[str, str]:
    """The environment of a job: this one, with the code of this program first."""
    paths = (str(CODE), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


class Stop:
    """A request to stop, by SIGTERM or Ctrl-C; a second Ctrl-C kills the jobs."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.kills = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.kills = self.signal is not None and number == signal.SIGINT
        self.signal = number

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        numbers = (signal.SIGTERM, signal.SIGINT)
        previous = {number: signal.signal(number, self) for number in numbers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


class LocalExecutor:
    """Trains runs, at most `parallel` tasks at a time; the end of one does not touch the others.

    Args:
      parallel: number of processes.
      retries: how often a task that fails is started again.
      say: prints a line.
      stop: see `Stop`.
    """

    def __init__(
        self, parallel: int, retries: int, say: Callable[[str], None], stop: Stop | None = None
    ) -> None:
        self._parallel, self._retries, self._say = parallel, retries, say
        self._stop = stop or Stop()
        self._own: dict[Task, subprocess.Popen[bytes]] = {}
        self._places: dict[Task, int] = {}

    def run(self, tasks: Sequence[Task], in_flight: Sequence[Path] = ()) -> dict[Path, Status]:
        """Trains the runs, and waits for those that another process has started before.

        Returns:
          How each ended. After a signal the jobs have saved, and the rest has not begun.
        """
        waiting, ended = list(tasks), dict[Path, Status]()
        watched = [Task((workdir,)) for workdir in in_flight]
        total, signalled = sum(len(t.workdirs) for t in waiting) + len(watched), False
        while waiting or watched:
            if self._stop.signal is not None:
                waiting = []
                signalled = self._end_all(signalled)
            while waiting and len(watched) < self._parallel:
                watched.append(self._start(waiting.pop(0), attempt=0))
            for task in [task for task in watched if self._is_over(task)]:
                watched.remove(task)
                mine = self._places.pop(task, None) is not None
                statuses = {workdir: read_status(workdir) for workdir in task.workdirs}
                if mine and (again := self._again(task, statuses)) is not None:
                    watched.append(again)
                    statuses = {w: s for w, s in statuses.items() if w not in again.workdirs}
                for workdir, status in statuses.items():
                    ended[workdir] = status
                    self._say(f"{describe_end(workdir.name, status)} ({len(ended)} of {total})")
            time.sleep(_LOOK_S if watched else 0)
        return ended

    def _start(self, task: Task, attempt: int) -> Task:
        taken = set(self._places.values())
        place = next(i for i in range(self._parallel) if i not in taken)
        self._places[task] = place
        with task.log.open("ab") as log:
            process = subprocess.Popen(
                job_command(task),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=CODE,
                env={**job_environment(), **visible_gpus(place, self._parallel, os.environ)},
                start_new_session=True,  # Ctrl-C reaches it through this process
            )
        self._own[task] = process
        job = Job(LOCAL, socket.gethostname(), process.pid, start_time(process.pid))
        write_jobs(task, dataclasses.replace(job, attempt=attempt))
        return task

    def _is_over(self, task: Task) -> bool:
        process = self._own.get(task)
        if process is None:
            return not any(read_status(workdir).state.in_flight for workdir in task.workdirs)
        if process.poll() is None:
            return False
        del self._own[task]
        if process.returncode > 0:
            end_jobs(task, process.returncode)
        return True

    def _again(self, task: Task, statuses: Mapping[Path, Status]) -> Task | None:
        """Starts the runs that failed again, if they may be."""
        failed = {w: one for w, one in statuses.items() if one.state is State.FAILED}
        attempt = max((one.job.attempt for one in failed.values() if one.job), default=0)
        if not failed or attempt >= self._retries or self._stop.signal is not None:
            return None
        for workdir, one in failed.items():
            self._say(f"{workdir.name}: failed: {one.note}; starting it again")
        return self._start(Task(tuple(failed), task.words), attempt + 1)

    def _end_all(self, signalled: bool) -> bool:
        """Asks the jobs once to save and end; kills them at the second Ctrl-C."""
        for process in self._own.values():
            if self._stop.kills:
                process.kill()
            elif not signalled:
                process.terminate()
        if not signalled:
            self._say("stopping: the jobs save their step first; press Ctrl-C again to kill them")
        return True


def describe_end(name: str, status: Status) -> str:
    """How a run ended, in a line."""
    if status.state is State.DONE:
        return f"{name}: done, loss {status.loss:.4f}"
    step = f" at step {status.step} of {status.num_steps}" if status.step else ""
    return f"{name}: {status.state}{step}" + (f": {status.note}" if status.note else "")


def visible_gpus(place: int, parallel: int, environment: Mapping[str, str]) -> dict[str, str]:
    """The GPUs of one of several jobs at once: an equal share, in the variable that CUDA reads.

    With more jobs than GPUs they take turns; nothing is set where there is at most one of either.
    """
    given = environment.get(_GPUS)
    if given is not None:
        gpus = [name for name in given.split(",") if name]
    else:
        gpus = [str(n) for n in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]
    if parallel == 1 or len(gpus) < 2:
        return {}
    share = max(len(gpus) // parallel, 1)
    first = place * share % len(gpus)
    return {_GPUS: ",".join(gpus[first : first + share])}
