"""metrics.jsonl: one object a line, synced before the checkpoint that vouches for it.

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
from seqmodels.config.tasks import Metric
from seqmodels.distributed.processes import is_main
from seqmodels.runs.event_files import EventFiles

METRICS = "metrics.jsonl"


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics file; a last line that was cut short by a kill is left out.

    Raises:
      UserError: names the first line that is damaged.
    """
    return list(_rows(path, math.inf))


def _rows(path: Path, last_step: int | float) -> Iterator[dict[str, Any]]:
    """Rows up to a step, in order. What is damaged behind it has never been vouched for."""
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
                f"{path}: line {number} is damaged ({error}): mend it or delete it"
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
    """Appends rows to `metrics.jsonl`; of several processes only process 0 does.

    Args:
      path: the file.
      last_step: rows after this step are cut, for the resumed run writes them again.
      tensorboard: write them to event files in `tensorboard/` beside it, too.

    Raises:
      UserError: a line up to that step is damaged.
      RunFailure: the disk does not take them; so do `write` and `sync`.
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
                f.writelines(json.dumps(row) + "\n" for row in self.rows)
                f.flush()
                os.fsync(f.fileno())  # before it replaces rows that a checkpoint vouches for
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
        line = (json.dumps(row) + "\n").encode()
        with _explain(self._path):
            while line:  # a disk that is nearly full takes a part
                line = line[self._file.write(line) :]
        if self._events is not None:
            with _explain(self._folder):
                self._events.write(row)

    def sync(self) -> None:
        """Returns once every row is on the disk."""
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
            f"{path} cannot be written: {error.strerror}; the checkpoints are as they were, the "
            "same command goes on from the last"
        ) from None
