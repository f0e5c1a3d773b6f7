"""The states of a sweep's runs, shown: a live table on a terminal, lines elsewhere.

Imports no jax.
"""

from __future__ import annotations

import collections
import datetime
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from seqmodels.sweeps.jobs import SLURM, read_job
from seqmodels.sweeps.manifest import Manifest
from seqmodels.sweeps.slurm import read_queue
from seqmodels.sweeps.states import State, Status, read_status

EVERY_S = 2.0
_COLOURS = {State.FAILED: "red", State.DIVERGED: "red", State.DONE: "green", State.RUNNING: "cyan"}
_NOTE = 60  # characters of a note in the table


def read_statuses(root: Path, manifest: Manifest) -> dict[str, Status]:
    """The states of the runs of a sweep, by name; asks Slurm once if it has any of them."""
    jobs = [read_job(root / name) for name in manifest.runs]
    queue = read_queue() if any(job is not None and job.executor == SLURM for job in jobs) else {}
    return {name: read_status(root / name, queue) for name in manifest.runs}


def count_states(statuses: Mapping[str, Status]) -> str:
    """How many runs are in each state, in words: 4 done, 1 running, 1 failed."""
    counts = collections.Counter(status.state for status in statuses.values())
    return ", ".join(f"{counts[state]} {state}" for state in reversed(State) if counts[state])


def show_statuses(
    root: Path,
    manifest: Manifest,
    console: Console,
    wait: Callable[[], None] = lambda: time.sleep(EVERY_S),
) -> dict[str, Status]:
    """Shows the states: on a terminal until no run is in flight, elsewhere once."""
    statuses = read_statuses(root, manifest)
    if not console.is_terminal:
        for name, status in statuses.items():
            console.print(status_line(name, status), highlight=False, markup=False, soft_wrap=True)
        console.print(count_states(statuses), highlight=False, markup=False, soft_wrap=True)
        return statuses
    with Live(draw(root, statuses), console=console, auto_refresh=False) as live:
        while any(status.state.in_flight for status in statuses.values()):
            wait()
            statuses = read_statuses(root, manifest)
            live.update(draw(root, statuses), refresh=True)
    return statuses


def status_line(name: str, status: Status) -> str:
    """The state of a run in a line."""
    parts = [f"{name}: {status.state}", f"step {status.step} of {status.num_steps}"]
    if status.loss is not None:
        parts.append(f"loss {status.loss:.4f}")
    if status.seconds_left is not None:
        parts.append(f"{_duration(status.seconds_left)} left")
    return "  ".join(parts) + (f"  {status.note}" if status.note else "")


def draw(root: Path, statuses: Mapping[str, Status]) -> Table:
    """The table of a terminal."""
    table = Table("run", "state", "step", "loss", "left", "", title=f"{root}")
    for column in table.columns[2:5]:
        column.justify = "right"
    for name, status in statuses.items():
        left = "" if status.seconds_left is None else _duration(status.seconds_left)
        cells: list[Any] = [Text(name), Text(status.state, _COLOURS.get(status.state, ""))]
        cells += [f"{status.step:,} of {status.num_steps:,}"]
        cells += ["" if status.loss is None else f"{status.loss:.4f}", left]
        note = status.note if len(status.note) <= _NOTE else f"{status.note[: _NOTE - 2]}.."
        table.add_row(*cells, Text(note))
    table.caption = count_states(statuses)
    return table


def _duration(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))
