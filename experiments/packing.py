"""Runs of a sweep that can be trained as one program, put together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from experiments import program
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.sweeps.local import Task


def pack_tasks(
    tasks: Sequence[Task], configs: Mapping[Path, ExperimentConfig], parallel: int
) -> list[Task]:
    """Joins the tasks of runs that may be members of one pack; says why others are left alone.

    Args:
      tasks: of one run each.
      configs: directory -> config.
      parallel: processes at once, over which the members of a group are spread.
    """
    from seqmodels.training.pack import check_pack, pack_key

    groups: dict[tuple[str, tuple[str, ...]], list[Path]] = {}
    for task in tasks:
        for workdir in task.workdirs:
            groups.setdefault((pack_key(configs[workdir]), task.words), []).append(workdir)
    made = []
    for (_, words), workdirs in groups.items():
        try:
            check_pack([(configs[workdir], workdir) for workdir in workdirs])
        except UserError as error:
            program.say(f"not packed: {error}")
            made += [Task((workdir,), words) for workdir in workdirs]
            continue
        made += [Task(tuple(part), words) for part in split_evenly(workdirs, parallel)]
    return made


def split_evenly(workdirs: Sequence[Path], count: int) -> Iterator[Sequence[Path]]:
    """Yields up to `count` parts that differ by one in size at most."""
    count = min(count, len(workdirs))
    for index in range(count):
        yield workdirs[index * len(workdirs) // count : (index + 1) * len(workdirs) // count]
