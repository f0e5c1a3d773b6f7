"""TensorBoard event files with the rows of a run, by means of tensorboardX. Imports no jax."""

from __future__ import annotations

import importlib
import importlib.util
import math
import time
from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError
from seqmodels.config.training import TrainingConfig


def require_tensorboard(training: TrainingConfig) -> None:
    """Checks that tensorboardX is installed if event files are enabled.

    Raises:
      UserError: it is not installed.
    """
    if training.tensorboard and importlib.util.find_spec("tensorboardX") is None:
        raise UserError(
            "--config.training.tensorboard=true: needs tensorboardX: "
            "pip install tensorboardX -c requirements.lock.txt"
        )


class EventFiles:
    """Event files in a folder, with one subfolder per split so that splits share charts.

    Whenever a process starts or resumes the run, they are rewritten from the rows so far. So they
    hold exactly the rows of metrics.jsonl, even if a resumed run repeats steps, a kill cut the
    files short, or they were not enabled before.

    Args:
      folder: `WORKDIR/tensorboard`.
      rows: rows so far.
    """

    def __init__(self, folder: Path, rows: list[dict[str, Any]]) -> None:
        writer, event, summary = (
            importlib.import_module(f"tensorboardX.{name}")
            for name in ("event_file_writer", "proto.event_pb2", "proto.summary_pb2")
        )
        self._new_file, self._folder = writer.EventsWriter, folder
        self._event, self._session, self._summary = event.Event, event.SessionLog, summary.Summary
        self._files: dict[str, Any] = {}
        # Charts show training time; the last row so far counts as just written.
        self._started = time.time() - (rows[-1]["seconds"] if rows else 0.0)
        for path in folder.glob("*/events.out.tfevents.*"):
            path.unlink()
        self._flushed = -math.inf
        for row in rows:
            self.write(row)

    def write(self, row: dict[str, Any]) -> None:
        """Appends the numbers of a row."""
        self._add(row)
        if time.monotonic() - self._flushed > 1:  # flushing waits for the disk
            self._flushed = time.monotonic()
            for file in self._files.values():
                file.flush()

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _add(self, row: dict[str, Any]) -> None:
        split, when = row["split"], self._started + row["seconds"]
        if split not in self._files:
            (self._folder / split).mkdir(parents=True, exist_ok=True)
            self._files[split] = self._new_file(str(self._folder / split / "events"))
            # Makes a running TensorBoard discard what it read from the earlier files.
            session = self._session(status=self._session.START)
            self._files[split].write_event(self._event(wall_time=when, session_log=session))
        values = [
            self._summary.Value(tag=name, simple_value=value)
            for name, value in row.items()
            if name != "step" and isinstance(value, int | float)
        ]
        summary = self._summary(value=values)
        event = self._event(wall_time=when, step=row["step"], summary=summary)
        self._files[split].write_event(event)
