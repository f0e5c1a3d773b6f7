"""Jobs of Slurm: submitted through submitit, found again by `squeue`. Imports no jax.

What submitit would decide is decided here. It requeues a job a few times only and takes every
preemption of a short one for a time-out, and it pickles the state of its jobs: `slurm_job` answers
signals and requeues, and the state of a job is what `squeue` and the work directory say.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import json
import logging
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqmodels.config.errors import RunFailure, UserError, suggest
from seqmodels.sweeps.jobs import SLURM, Job
from seqmodels.sweeps.local import CODE, Task, write_jobs
from seqmodels.sweeps.slurm_job import TrainingJob
from seqmodels.sweeps.states import Queue

OPTIONS: dict[str, type] = {
    "time": int,  # minutes
    "partition": str,
    "nodes": int,
    "ntasks_per_node": int,
    "cpus_per_task": int,
    "gpus_per_node": int,
    "mem": str,
    "account": str,
    "qos": str,
    "constraint": str,
    "gres": str,
    "nodelist": str,
    "exclude": str,
    "signal_delay_s": int,
}
"""Options of `--slurm.NAME=VALUE`, by their names in submitit."""
SIGNAL_DELAY_S = 120
"""Time before the limit at which a job is asked to save and is requeued."""
_TIMEOUT_S = 30
_FOLDER = "slurm"  # of a work directory: the scripts and pickles of submitit


def parse_options(given: Mapping[str, str]) -> dict[str, Any]:
    """The options of a job.

    Raises:
      UserError: one is unknown or has the wrong type, the time limit is missing, or Slurm or
        submitit is.
    """
    options: dict[str, Any] = {}
    for name, text in given.items():
        if name not in OPTIONS:
            raise UserError(f"--slurm.{name}={text}: is not known{suggest(name, OPTIONS)}")
        if OPTIONS[name] is int and not (text.isdecimal() and int(text)):
            raise UserError(f"--slurm.{name}={text}: must be an integer, 1 or more")
        options[name] = OPTIONS[name](text)
    if "time" not in options:
        raise UserError("--slurm.time=MINUTES is required with --executor=slurm")
    if importlib.util.find_spec("submitit") is None:
        raise UserError(
            "--executor=slurm: needs submitit, not installed here: pip install submitit"
        )
    if shutil.which("sbatch") is None or shutil.which("srun") is None:
        raise UserError("--executor=slurm: there is no sbatch and srun on this machine")
    return options


def num_tasks(options: Mapping[str, Any]) -> int:
    """The processes of a job."""
    return options.get("nodes", 1) * options.get("ntasks_per_node", 1)


def submit(task: Task, options: Mapping[str, Any], retries: int = 0) -> str:
    """Submits the job of a run or a pack, and records it; returns the number of the job.

    Args:
      task: a job of several processes is one program over them, see `--distributed=auto`.

    Raises:
      RunFailure: Slurm does not take it.
    """
    import submitit

    logging.getLogger("submitit").setLevel(logging.ERROR)
    first, *others = task.workdirs
    words = task.words + (("--distributed=auto",) if num_tasks(options) > 1 else ())
    workdirs = tuple(map(str, task.workdirs))
    path = shlex.quote(str(CODE))
    executor = submitit.SlurmExecutor(first / _FOLDER)
    executor.update_parameters(
        **{"signal_delay_s": SIGNAL_DELAY_S, **options},
        job_name=first.name + (f" and {len(others)} more" if others else ""),
        comment=json.dumps(workdirs),
        stderr_to_stdout=True,
        additional_parameters={"requeue": True},
        setup=[f'export PYTHONPATH={path}"${{PYTHONPATH:+:$PYTHONPATH}}"'],
    )
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # sbatch's own lines
            job_id = executor.submit(TrainingJob(workdirs, words, retries)).job_id
    except Exception as error:  # submitit's own, with what sbatch has printed
        line = str(error).strip().split("\n")[-1]
        raise RunFailure(f"{first.name}: Slurm rejected the job: {line}") from None
    write_jobs(task, Job(SLURM, job_id=job_id))
    return job_id


@dataclasses.dataclass(frozen=True)
class Entry:
    """A job that Slurm knows: its state, the reason of that, and the comment, which `submit` makes
    the work directories in JSON."""

    state: str
    reason: str
    comment: str

    @property
    def workdirs(self) -> list[str]:
        """The work directories; none where the job is not one of ours."""
        with contextlib.suppress(ValueError):
            found = json.loads(self.comment)
            return found if isinstance(found, list) else []
        return []


def read_entries() -> dict[str, Entry] | None:
    """The jobs of this user, by number; None where Slurm does not answer.

    `sacct` is not asked: many clusters do not have it.
    """
    command = ["squeue", "--me", "--noheader", "--states=all", "--format=%A|%T|%r|%k"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = (line.strip().split("|", 3) for line in done.stdout.split("\n") if line.strip())
    return {job: Entry(*rest) for job, *rest in lines}


def read_queue() -> Queue | None:
    """The jobs of this user: number -> state and reason; None where Slurm does not answer."""
    entries = read_entries()
    return None if entries is None else {job: (e.state, e.reason) for job, e in entries.items()}


def adopt_jobs(workdirs: Mapping[Path, Job | None]) -> list[Path]:
    """Records the jobs that were submitted by a command that was killed before it recorded them.

    Args:
      workdirs: directory -> its last recorded job.

    Returns:
      The directories that have such a job.

    Raises:
      RunFailure: Slurm does not answer, so that a job might be submitted twice.
    """
    entries = read_entries()
    if entries is None:
        raise RunFailure("squeue does not answer: jobs in flight cannot be found; try again")
    alive = ("PENDING", "RUNNING", "REQUEUED", "CONFIGURING", "SUSPENDED")
    adopted = []
    for number, entry in entries.items():
        if entry.state not in alive:
            continue
        task = Task(tuple(map(Path, entry.workdirs)))
        lost = [
            workdir
            for workdir in task.workdirs
            if workdir in workdirs and ((job := workdirs[workdir]) is None or job.job_id != number)
        ]
        write_jobs(task, Job(SLURM, job_id=number), lost)
        adopted += lost
    return adopted
