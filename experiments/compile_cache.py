"""Bound on the size of the compile cache. Imports no jax."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

MAX_BYTES = 1 << 30
"""Of the programs in one directory. A small program takes 5 kB to 0.5 MB."""
_PROGRAM = "-cache"


def trim(directory: Path, max_bytes: int = MAX_BYTES) -> None:
    """Removes the programs that were read or written longest ago, until the rest fits.

    jax's own bound, jax_compilation_cache_max_size, reads every entry for each one that it writes
    (1 s among 5,700 of them), and in jax 0.10 an entry without its time, as a kill leaves it, ends
    all writing. A program that another process removes meanwhile is compiled again.
    """
    entries: list[tuple[float, int, str]] = []
    with contextlib.suppress(OSError), os.scandir(directory) as found:
        for entry in found:
            with contextlib.suppress(FileNotFoundError):
                if entry.name.endswith(_PROGRAM):
                    stat = entry.stat()
                    entries.append((max(stat.st_atime, stat.st_mtime), stat.st_size, entry.path))
    excess = sum(size for _, size, _ in entries) - max_bytes
    for _, size, path in sorted(entries):
        if excess <= 0:
            return
        with contextlib.suppress(OSError):  # it is gone, or the cache cannot be written
            os.unlink(path)
        excess -= size
