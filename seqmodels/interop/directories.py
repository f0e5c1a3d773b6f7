"""Directories that are created completely or not at all. Imports no jax."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from seqmodels.config.errors import UserError


def refuse_existing(path: Path, flag: str) -> None:
    """Raises UserError unless `path` is free or an empty directory."""
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists() or path.is_symlink():
        raise UserError(f"{flag}={path}: already exists; name a new directory")


@contextlib.contextmanager
def new_directory(path: Path, flag: str) -> Iterator[Path]:
    """Yields a temporary directory next to `path`, which is renamed to `path` on success.

    On failure it is removed.

    Raises:
      UserError: `path` exists already or cannot be written.
    """
    refuse_existing(path, flag)
    path = path.absolute()
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{path.name}.partial-*"):
            if not _is_alive(left.name.rpartition("-")[2]):
                shutil.rmtree(left, ignore_errors=True)  # left by a process that was killed
        partial.mkdir()
        try:
            yield partial
            partial.rename(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        _sync(path.parent)
    except OSError as error:
        raise UserError(f"{flag}={path}: cannot be written: {error.strerror or error}") from None


def _is_alive(process: str) -> bool:
    if not process.isdecimal():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
