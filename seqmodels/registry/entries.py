"""The lines of the registry."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Entry:
    """A registered model, task or data set.

    Attributes:
      implementation: 'module:Class' of the class.
      config: 'module:Class' of its config dataclass.
      summary: one line for `launch.py list`.
    """

    implementation: str
    config: str
    summary: str


@dataclasses.dataclass(frozen=True)
class DatasetEntry:
    """One registered data set.

    Attributes:
      implementation: 'module:Class' of what opens it.
      summary: one line for `launch.py list`.
      columns: names of its columns; None where they are those of the user's files or of a catalog.
      options: the optional fields of `DataConfig` that it reads.
      argument: what may follow the name after a colon: NAME must, [SIZE] and [ALPHABET] may.
      least_size: the least SIZE.
      endings: of the names of the user's own files that `evaluate --input` reads by it.
    """

    implementation: str
    summary: str
    columns: tuple[str, ...] | None
    options: tuple[str, ...] = ()
    argument: str = ""
    least_size: int = 0
    endings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class CellEntry:
    """A recurrent cell.

    Attributes:
      implementation: 'module:Class' of the cell. `models.build.make_cell` sets every field of the
        class that the model's config has too.
      summary: one line for `launch.py list`.
      reads: fields of `CellConfig` that only some cells read, and that this one reads.
      options: fields of the class that the name fixes.
    """

    implementation: str
    summary: str
    reads: tuple[str, ...] = ()
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
