"""Store of named arrays: made once from the data, kept in a cache directory, memory-mapped.

An entry is a directory whose name is a hash of everything that decides its content. It is written
next to its place and renamed into it under a lock, so that it is there whole or not at all. Its
digest is computed again whenever it is opened, so that damage shows, and is mended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels import files
from seqmodels.config.data import DataConfig
from seqmodels.config.errors import UserError

_FORMAT = 3
_META = "entry.json"
_log = logging.getLogger(__name__)

Content = tuple[Mapping[str, np.ndarray], dict[str, Any]]
"""Arrays by name, and metadata for JSON."""


@dataclasses.dataclass(frozen=True)
class StoredArrays:
    """The arrays and metadata that are stored under one key.

    Attributes:
      arrays: by name, memory-mapped.
      meta: what was kept with them.
      where: the directory.
    """

    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]
    where: Path


def cache_directory(data: DataConfig) -> Path:
    """Returns data.cache_dir, else $SEQMODELS_CACHE_DIR, else ~/.cache/seqmodels."""
    return Path(data.cache_dir).expanduser() if data.cache_dir else files.cache_directory()


def place(cache: Path, room: str, key: Any) -> Path:
    """The directory of an entry.

    Args:
      room: what entries of its kind are called.
      key: JSON of all that decides the content.
    """
    text = json.dumps([_FORMAT, key], sort_keys=True)
    return cache / room / hashlib.sha256(text.encode()).hexdigest()[:32]


def open_arrays(cache: Path, where: Path, make: Callable[[], Content]) -> StoredArrays:
    """Returns an entry, making it first where the cache lacks it or it is damaged.

    Raises:
      UserError: the cache cannot be written, or as `make` has it.
    """
    entry = read_arrays(where)
    if entry is None:
        import filelock  # here, because `benchmark` runs without it

        with explain_cache_errors(cache):
            where.parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(where.with_suffix(".lock")):
                entry = read_arrays(where)  # another process may have written it meanwhile
                if entry is None:
                    _write(where, *make())
                    entry = read_arrays(where)
        if entry is None:
            raise UserError(f"{where}: what was written does not read back; is the disk sound?")
    return entry


def read_arrays(where: Path) -> StoredArrays | None:
    """Returns None where there is no entry, or a damaged one, which it reports."""
    try:
        if not where.is_dir():
            return None
        kept = json.loads((where / _META).read_text(encoding="utf-8"))
        names = {name: f"{name}.npy" for name in kept["arrays"]}
        # A map of a file without elements is refused.
        arrays = {
            name: np.load(where / file, mmap_mode="r" if kept["arrays"][name] else None)
            for name, file in names.items()
        }
        if _digest(arrays, kept["meta"]) != kept["digest"]:
            raise ValueError("its content does not match its digest")
        return StoredArrays(arrays, kept["meta"], where)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        _log.warning("cache: %s is damaged (%s): making it again", where, error)
        return None


def _digest(arrays: Mapping[str, np.ndarray], meta: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _write(where: Path, arrays: Mapping[str, np.ndarray], meta: dict[str, Any]) -> None:
    """Call under the entry's lock."""
    partial = where.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for name, array in arrays.items():
        with open(partial / f"{name}.npy", "wb") as file:
            np.save(file, array)
            _sync(file)
    meta = json.loads(json.dumps(meta))  # as it will be read back
    sizes = {name: int(array.size) for name, array in arrays.items()}
    kept = {"digest": _digest(arrays, meta), "arrays": sizes, "meta": meta}
    with open(partial / _META, "w", encoding="utf-8") as file:
        json.dump(kept, file, indent=1, ensure_ascii=False, allow_nan=False)
        _sync(file)
    _sync_directory(partial)
    if where.exists():
        # Set aside first: a directory cannot be renamed onto one, and readers may have it open.
        damaged = where.with_suffix(".damaged")
        shutil.rmtree(damaged, ignore_errors=True)
        where.rename(damaged)
        shutil.rmtree(damaged, ignore_errors=True)
    partial.rename(where)
    _sync_directory(where.parent)


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def explain_cache_errors(cache: Path) -> Iterator[None]:
    """Turns a cache that is full or cannot be written into a line for the user."""
    try:
        yield
    except OSError as error:
        # None: numpy reports only how much of an array the disk took.
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, None)
        problem = "is full" if full else f"cannot be written ({error.strerror or error})"
        raise UserError(
            f"the cache directory {cache} {problem}; name another by data.cache_dir or by "
            "$SEQMODELS_CACHE_DIR"
        ) from None
