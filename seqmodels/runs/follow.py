"""Observation of a run in progress from another process. Imports no jax."""

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
from seqmodels.runs.opening import read_config
from seqmodels.runs.rows import METRICS, stops_early
from seqmodels.runs.workdir import has_trainer, saved_steps


@dataclasses.dataclass(frozen=True)
class Update:
    """Progress of a run.

    Attributes:
      rows: all rows.
      new: rows since the previous update.
      cut_after: the last step that was kept if a resumed run has cut rows since; otherwise None.
      saved: steps of the checkpoints.
      trains: whether a process is training in the work directory.
      num_steps: planned by the config, which may change when the run is resumed.
      done: whether the run reached its last step (or stopped early) and everything is saved.
    """

    rows: list[dict[str, Any]]
    new: list[dict[str, Any]]
    cut_after: int | None
    saved: list[int]
    trains: bool
    num_steps: int
    done: bool


class RowFile:
    """A metrics file that another process appends to, and replaces when it resumes.

    Args:
      path: path of the file, which need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0
        # Kept open, so that its inode number is not reused while it is compared.
        self._file: io.BufferedReader | None = None

    def read(self) -> tuple[list[dict[str, Any]], bool]:
        """Returns the complete lines since the last call, and whether the file was replaced.

        Raises:
          UserError: a line is not JSON.
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
            return [json.loads(line) for line in (lines + end).split(b"\n")[:-1]], replaced
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
    """Yields an update each time it is advanced.

    Raises:
      UserError: a line of the metrics is not JSON.
    """
    file = RowFile(workdir / METRICS)
    rows: list[dict[str, Any]] = []
    try:
        while True:
            trains = has_trainer(workdir)  # first, so that no row of a process that ends is missed
            if (workdir / "config.json").is_file():
                config = read_config(workdir)
            num_steps = planned_steps(config)
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
            yield Update(rows, new, cut_after, saved, trains, num_steps, ended and not trains)
    finally:
        file.close()


def planned_steps(config: ExperimentConfig) -> int:
    """Total number of steps of the run."""
    return 1 if config.model.fitted else config.training.num_steps


def _common(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> int:
    """Number of rows that both begin with."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(old), len(new)))


def seconds_left(rows: list[dict[str, Any]], num_steps: int) -> float | None:
    """Estimated training time left, from the pace of the last rows; None if unknown."""
    recent = [row for row in rows if row["split"] == "train"][-_PACE:]
    if not recent:
        return None
    first, last = recent[0], recent[-1]
    if first is last:
        first = {"step": 0, "seconds": 0.0}
    pace = (last["seconds"] - first["seconds"]) / (last["step"] - first["step"])
    return pace * (num_steps - last["step"])


_PACE = 10  # training rows
