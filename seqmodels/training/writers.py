"""metrics.jsonl: one object a line, synced before the checkpoint that vouches for it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

WALL_CLOCK_FIELDS = ("seconds", "tokens_per_second", "examples_per_second")
"""Fields of a row that differ between two runs of the same config."""


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics file; a last line that was cut short by a kill is left out."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    return [json.loads(line) for line in lines[:-1]]


class MetricsWriter:
    """Appends rows to `metrics.jsonl`.

    Args:
      path: the file.
      last_step: rows after this step are cut, for the resumed run writes them again.
    """

    def __init__(self, path: Path, last_step: int) -> None:
        self.rows = [row for row in read_rows(path) if row["step"] <= last_step]
        temporary = path.with_suffix(".tmp")
        with temporary.open("w") as f:
            f.writelines(json.dumps(row) + "\n" for row in self.rows)
            f.flush()
            os.fsync(f.fileno())  # before it takes the place of rows that a checkpoint vouches for
        temporary.replace(path)
        self._file = path.open("a")

    def write(self, row: dict[str, Any]) -> None:
        """Appends one row."""
        self.rows.append(row)
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def sync(self) -> None:
        """Returns once every row is on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self.sync()
        self._file.close()
