"""Rows of metrics.jsonl: one JSON object per line, synced before the checkpoint that covers it.

Imports no jax.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from seqmodels.config.errors import RunFailure, UserError
from seqmodels.config.strict_json import to_text
from seqmodels.config.tasks import Metric
from seqmodels.distributed.processes import is_main
from seqmodels.runs.event_files import EventFiles

METRICS = "metrics.jsonl"


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Reads the rows of a metrics file, without a last line that was cut short by a kill.

    Raises:
      UserError: a line is damaged.
    """
    return list(_rows(path, math.inf))


def _rows(path: Path, last_step: int | float) -> Iterator[dict[str, Any]]:
    """Yields the rows up to a step. Later ones may be damaged: no checkpoint covers them."""
    if not path.exists():
        return
    step = 0
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            row = json.loads(line)
            step = row["step"]
        except (ValueError, KeyError, TypeError) as error:
            if step >= last_step:
                return
            raise UserError(
                f"{path}: line {number} is damaged ({error}): repair or delete it"
            ) from None
        if step > last_step:
            return
        yield row


def costs_of(rows: list[dict[str, Any]], metric: Metric) -> list[float]:
    """A metric of every evaluation of the validation split, as costs: less is better."""
    return [metric.cost(row[metric.name]) for row in rows if row["split"] == "validation"]


def stops_early(rows: list[dict[str, Any]], metric: Metric, patience: int | None) -> bool:
    """Whether the last `patience` evaluations found nothing better; None never stops."""
    if patience is None:
        return False
    costs = costs_of(rows, metric)
    return len(costs) > patience and min(costs[-patience:]) >= min(costs[:-patience])


class MetricsWriter:
    """Appends rows to `metrics.jsonl`, in process 0.

    Args:
      path: the file.
      last_step: rows after this step are cut, because the resumed run writes them again.
      tensorboard: whether to write event files to `tensorboard/` in the same directory too.

    Raises:
      UserError: a line up to that step is damaged.
      RunFailure: the file cannot be written; `write` and `sync` raise it too.
    """

    def __init__(self, path: Path, last_step: int, *, tensorboard: bool = False) -> None:
        self._path, self._folder = path, path.parent / "tensorboard"
        self.rows = list(_rows(path, last_step))
        self._file: BinaryIO | None = None
        self._events: EventFiles | None = None
        if is_main():
            self._open(tensorboard)

    def _open(self, tensorboard: bool) -> None:
        path = self._path
        temporary = path.with_suffix(".tmp")
        with _explain(path):
            with temporary.open("w") as f:
                f.writelines(to_text(row) + "\n" for row in self.rows)
                f.flush()
                os.fsync(f.fileno())  # before it replaces rows that a checkpoint covers
            temporary.replace(path)
            self._file = path.open("ab", buffering=0)
        if tensorboard:
            with _explain(self._folder):
                self._events = EventFiles(self._folder, self.rows)

    def write(self, row: dict[str, Any]) -> None:
        """Appends one row."""
        self.rows.append(row)
        if self._file is None:
            return
        line = (to_text(row) + "\n").encode()
        with _explain(self._path):
            while line:  # a nearly full disk accepts only a part
                line = line[self._file.write(line) :]
        if self._events is not None:
            with _explain(self._folder):
                self._events.write(row)

    def sync(self) -> None:
        """Returns once every row is on disk."""
        if self._file is not None:
            with _explain(self._path):
                os.fsync(self._file.fileno())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        if self._events is not None:
            with _explain(self._folder):
                self._events.close()


@contextlib.contextmanager
def _explain(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunFailure(
            f"{path} cannot be written: {error.strerror}; the checkpoints are unchanged, and the "
            "same command resumes from the last one"
        ) from None
