"""A run in progress, followed by another process. Imports no jax."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.runs.rows import METRICS, stops_early
from seqmodels.runs.workdir import has_trainer, saved_steps


@dataclasses.dataclass(frozen=True)
class Update:
    """What a run has come to.

    Attributes:
      rows: all of them.
      new: those since the update before.
      cut_after: the last step that stays, where a resumed run has cut rows since; else None.
      saved: steps of the checkpoints.
      trains: whether a process trains there.
      done: the last step is reached (or early stopping has ended the run), and all is saved.
    """

    rows: list[dict[str, Any]]
    new: list[dict[str, Any]]
    cut_after: int | None
    saved: list[int]
    trains: bool
    done: bool


class RowFile:
    """A metrics file that another process appends to, and replaces when it resumes.

    Args:
      path: of the file, which need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0
        # Kept open, so that no other file gets its number while it is compared.
        self._file: io.BufferedReader | None = None

    def read(self) -> tuple[list[dict[str, Any]], bool]:
        """Returns the whole lines since the last call, and whether they are of another file.

        Raises:
          UserError: a line is no JSON.
        """
        replaced = self._was_replaced()
        if replaced:
            self.close()
            try:
                self._file = self._path.open("rb")
            except FileNotFoundError:
                return [], True
        assert self._file is not None
        self._file.seek(self._offset)
        lines, end, _ = self._file.read().rpartition(b"\n")
        self._offset += len(lines) + len(end)
        try:
            return [json.loads(line) for line in lines.splitlines()], replaced
        except ValueError as error:
            raise UserError(f"{self._path}: cannot be read: {error}") from None

    def close(self) -> None:
        self._offset = 0
        if self._file is not None:
            self._file.close()
            self._file = None

    def _was_replaced(self) -> bool:
        if self._file is None:
            return True
        own = os.fstat(self._file.fileno())
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return True
        return not os.path.samestat(own, there) or there.st_size < self._offset


def watch(workdir: Path, config: ExperimentConfig) -> Generator[Update]:
    """Looks at a run each time it is asked for the next update.

    Raises:
      UserError: a line of its metrics is no JSON.
    """
    num_steps = planned_steps(config)
    file = RowFile(workdir / METRICS)
    rows: list[dict[str, Any]] = []
    try:
        while True:
            trains = has_trainer(workdir)  # first, so that the rows of one that leaves are all read
            new, replaced = file.read()
            cut_after = None
            if replaced:
                kept = _common(rows, new)
                if kept < len(rows):
                    cut_after = rows[kept - 1]["step"] if kept else 0
                rows, new = rows[:kept], new[kept:]
            rows = rows + new
            evaluated = [row["step"] for row in rows if row["split"] == "validation"]
            ended = max(evaluated, default=0) >= num_steps or stops_early(
                rows,
                config.task.metric(config.training.best_metric),
                config.training.early_stopping_patience,
            )
            saved = saved_steps(workdir)
            yield Update(rows, new, cut_after, saved, trains, ended and not trains)
    finally:
        file.close()


def planned_steps(config: ExperimentConfig) -> int:
    """How many steps the run has in all."""
    return 1 if config.model.fitted else config.training.num_steps


def _common(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> int:
    """How many rows both begin with."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(old), len(new)))


def seconds_left(rows: list[dict[str, Any]], num_steps: int) -> float | None:
    """Training time to the last step at the pace of the last rows; None where it is not known."""
    recent = [row for row in rows if row["split"] == "train"][-_PACE:]
    if not recent:
        return None
    first, last = recent[0], recent[-1]
    if first is last:
        first = {"step": 0, "seconds": 0.0}
    pace = (last["seconds"] - first["seconds"]) / (last["step"] - first["step"])
    return pace * (num_steps - last["step"])


_PACE = 10  # training rows
