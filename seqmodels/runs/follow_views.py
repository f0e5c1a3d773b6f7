"""Output of `inspect --follow`: a live view, lines or JSON. Imports no jax."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.strict_json import to_text
from seqmodels.runs.follow import Update, seconds_left, watch
from seqmodels.runs.progress import pace, row_line

EVERY = 1.0
"""Seconds between two updates."""
_BLOCKS, _WIDTH = "▁▂▃▄▅▆▇█", 48


class View(Protocol):
    """A way to show updates."""

    def show(self, update: Update) -> None:
        """Shows the news of an update."""
        ...

    def close(self) -> None:
        """Ends the view."""
        ...


def follow(
    workdir: Path,
    config: ExperimentConfig,
    *,
    as_json: bool,
    wait: Callable[[], None] = lambda: time.sleep(EVERY),
) -> None:
    """Shows a run until it is done.

    Args:
      as_json: whether to print one JSON line per row on stdout, and all else on stderr.
      wait: returns when it is time for the next update.

    Raises:
      UserError: see `watch`.
    """
    console = Console(stderr=True)
    view: View = LineView(console, workdir, config, as_json)
    if console.is_terminal and not as_json:
        view = LiveView(console, workdir, config)
    with contextlib.closing(view), contextlib.closing(watch(workdir, config)) as updates:
        for update in updates:
            view.show(update)
            if update.done:
                return
            wait()


class LineView:
    """Prints one line per row and one per event of the run.

    Of the rows that exist at the beginning it shows only the newest, except as JSON.
    """

    def __init__(
        self, console: Console, workdir: Path, config: ExperimentConfig, as_json: bool
    ) -> None:
        self._console, self._workdir, self._config = console, workdir, config
        self._as_json = as_json
        self._before: Update | None = None

    def show(self, update: Update) -> None:
        before, self._before = self._before, update
        if update.cut_after is not None:
            self._say(f"resumed: the steps after {update.cut_after} are repeated")
        rows = update.new if before is not None or self._as_json else _newest(update.rows)
        for row in rows:
            self._show_row(row, update)
        if before is not None and (new := [s for s in update.saved if s not in before.saved]):
            self._say(f"saved: step {', '.join(map(str, new))}")
        if before is None or (before.trains, before.done) != (update.trains, update.done):
            self._say(status(update, self._workdir, self._config))

    def close(self) -> None:
        """Has nothing to clean up."""

    def _show_row(self, row: dict[str, Any], update: Update) -> None:
        if self._as_json:
            print(to_text(row), flush=True)
            return
        num_steps = update.num_steps
        past = [other for other in update.rows if other["step"] <= row["step"]]
        self._say(row_line(self._config.model.kind, row, num_steps, seconds_left(past, num_steps)))

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


class LiveView:
    """A view of the run that is redrawn on a terminal."""

    def __init__(self, console: Console, workdir: Path, config: ExperimentConfig) -> None:
        self._workdir, self._config = workdir, config
        self._live = Live(console=console, auto_refresh=False)
        self._live.start()

    def show(self, update: Update) -> None:
        self._live.update(draw(update, self._workdir, self._config), refresh=True)

    def close(self) -> None:
        """Keeps the last view and releases the terminal."""
        self._live.stop()


def draw(update: Update, workdir: Path, config: ExperimentConfig) -> RenderableType:
    """View of a run: its progress, losses with curves, and checkpoints."""
    rows, num_steps = update.rows, update.num_steps
    step = rows[-1]["step"] if rows else 0
    bar, facts = Table.grid(padding=(0, 2)), Table.grid(padding=(0, 2))
    left = seconds_left(rows, num_steps)
    time_left = "" if left is None else f"{datetime.timedelta(seconds=round(left))} left"
    bar.add_row(
        ProgressBar(total=num_steps, completed=step, width=_WIDTH),
        f"step {step:,} of {num_steps:,}",
        time_left,
    )
    for split in ("train", "validation"):
        if own := [row for row in rows if row["split"] == split]:
            loss = f"loss {own[-1]['loss']:.4f}"
            facts.add_row(split, loss, f"step {own[-1]['step']:,}", pace(own[-1]))
            facts.add_row("", curve([row["loss"] for row in own], _WIDTH))
    title = Text(f"{workdir}: {config.model.kind}", style="bold")
    parts: list[RenderableType] = [title, bar, facts]
    if any(row["split"] == "validation" for row in rows):
        parts.append(Text(f"best {_best(rows, config)}"))
    if update.saved:
        parts.append(Text("saved: step " + ", ".join(f"{step:,}" for step in update.saved)))
    return Group(*parts, Text(status(update, workdir, config)))


def status(update: Update, workdir: Path, config: ExperimentConfig) -> str:
    """Whether the run is done, in progress or abandoned, in words."""
    if update.done:
        best = _best(update.rows, config)
        return f"done: step {update.rows[-1]['step']} of {update.num_steps}; best {best}"
    if update.trains:
        return "training" if update.rows else "training; no metrics yet"
    if not any(update.saved):
        return "no process is training here, and nothing is saved"
    return (
        f"no process is training here; python launch.py train --workdir={workdir} resumes from "
        f"step {update.saved[-1]}"
    )


def _best(rows: list[dict[str, Any]], config: ExperimentConfig) -> str:
    metric = config.task.metric(config.training.best_metric)
    own = [row for row in rows if row["split"] == "validation"]
    best = min(own, key=lambda row: metric.cost(row[metric.name]))
    return f"validation {metric.name} {best[metric.name]:.4f} at step {best['step']:,}"


def _newest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last row of each split, in order."""
    last = {row["split"]: row for row in rows}
    return [row for row in rows if row is last[row["split"]]]


def curve(values: list[float], width: int) -> str:
    """Draws values as a row of block characters, each for one or more neighbouring values."""
    count = min(len(values), width)
    if count < 2:
        return ""
    cuts = [len(values) * n // count for n in range(count + 1)]
    means = [statistics.fmean(values[a:b]) for a, b in itertools.pairwise(cuts)]
    low, span = min(means), max(max(means) - min(means), 1e-9)
    return "".join(_BLOCKS[int((mean - low) / span * (len(_BLOCKS) - 1) + 0.5)] for mean in means)
