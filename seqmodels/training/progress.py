"""Progress of a run for a person: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class TrainingProgress:
    """Shows step, loss, tokens per second and the time left, on stderr.

    Args:
      num_steps: steps in all.
      step: steps already done.
      label: what stands before the bar.
    """

    def __init__(self, num_steps: int, step: int, label: str) -> None:
        self._num_steps, self._first, self._label = num_steps, step, label
        self._started = time.monotonic()
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        if self._console.is_terminal:
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
        """Moves the bar; cheap enough for every call of the step."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step)

    def show(self, row: dict[str, Any]) -> None:
        """Shows a row of metrics."""
        if self._bar is not None and row["split"] == "train":
            note = f"loss {row['loss']:.3f}  {_rate(row)}{_wait(row)}"
            self._bar.update(self._task, note=note)
            return
        step = row["step"]
        line = (
            f"{self._label}  step {step}/{self._num_steps}  {row['split']} loss {row['loss']:.4f}"
        )
        if rate := _rate(row):
            left = (time.monotonic() - self._started) / max(step - self._first, 1)
            line += f"  {rate}{_wait(row)}  {left * (self._num_steps - step):,.0f} s left"
        self.say(line)

    def say(self, line: str) -> None:
        """Prints a line above the bar."""
        console = self._console if self._bar is None else self._bar.console
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()


def _rate(row: dict[str, Any]) -> str:
    """Targets a second, and what they are; empty where a row has none."""
    ending = "_per_second"
    rates = (f"{v:,.0f} {k.removesuffix(ending)}/s" for k, v in row.items() if k.endswith(ending))
    return next(rates, "")


def _wait(row: dict[str, Any]) -> str:
    """How much of the time went into waiting for batches, where that is worth a word."""
    wait = row["input_wait"]
    return f"  input wait {wait:.0%}" if wait > 0.1 else ""
