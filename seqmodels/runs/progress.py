"""Progress display of a run: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import datetime
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from seqmodels.distributed.processes import is_main


class TrainingProgress:
    """Shows step, loss, tokens per second and the time left on stderr, in process 0.

    Args:
      num_steps: total number of steps.
      step: steps already done.
      label: text before the bar.
      live: whether a terminal shows a bar; only one display may have one.
    """

    def __init__(self, num_steps: int, step: int, label: str, *, live: bool = True) -> None:
        self._num_steps, self._first, self._label = num_steps, step, label
        self._started = time.monotonic()
        self._console = Console(stderr=True, quiet=not is_main())
        self._bar: Progress | None = None
        if live and self._console.is_terminal and is_main():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}"),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._task = self._bar.add_task(label, total=num_steps, completed=step, note="")
            self._bar.start()

    def advance(self, step: int) -> None:
        """Moves the bar; cheap enough for every step."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step)

    def show(self, row: dict[str, Any]) -> None:
        """Shows a row of metrics."""
        if self._bar is not None and row["split"] == "train":
            self._bar.update(self._task, note=f"loss {row['loss']:.3f}  {pace(row)}")
            return
        done = row["step"] - self._first
        left = (time.monotonic() - self._started) / max(done, 1) * (self._num_steps - row["step"])
        self.say(row_line(self._label, row, self._num_steps, left))

    def say(self, line: str) -> None:
        """Prints a line above the bar."""
        console = self._console if self._bar is None else self._bar.console
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()


def row_line(label: str, row: dict[str, Any], num_steps: int, seconds_left: float | None) -> str:
    """Formats a row of metrics as a line of text."""
    line = f"{label}  step {row['step']}/{num_steps}  {row['split']} loss {row['loss']:.4f}"
    if speed := pace(row):
        line += f"  {speed}"
        if seconds_left is not None:
            line += f"  {datetime.timedelta(seconds=round(seconds_left))} left"
    return line


def pace(row: dict[str, Any]) -> str:
    """Formats the throughput of a training row, and a high share of waiting for batches.

    Empty for rows of other splits.
    """
    ending = "_per_second"
    rates = (f"{v:,.0f} {k.removesuffix(ending)}/s" for k, v in row.items() if k.endswith(ending))
    rate, wait = next(rates, ""), row["input_wait"]
    return f"{rate}  input wait {wait:.0%}" if rate and wait > 0.1 else rate
