"""The code and the libraries that a result depends on. Imports no jax."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError
from seqmodels.distributed.processes import is_main
from seqmodels.native import library
from seqmodels.runs.opening import read_json
from seqmodels.runs.workdir import write_json

ORIGIN = "origin.json"
"""The file of a work directory."""
_PACKAGE = Path(__file__).parents[1]
_NO_STEP = ("benchmark", "interop", "sweeps")
"""Rooms that no step of training depends on."""
_SUFFIXES = (".py", ".cc", ".h")
_LIBRARIES = ("jax", "jaxlib", "flax", "optax", "numpy", "orbax-checkpoint")


@functools.cache
def code_digests() -> dict[str, str]:
    """File -> digest, for each source that training may depend on."""
    found = {}
    for path in sorted(_PACKAGE.rglob("*")):
        name = path.relative_to(_PACKAGE)
        if path.suffix in _SUFFIXES and name.parts[0] not in _NO_STEP:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
            found[(Path(_PACKAGE.name) / name).as_posix()] = digest
    return found


def library_versions() -> dict[str, str]:
    """Name -> version of Python and of the libraries that compute."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        found[name] = importlib.metadata.version(name)
    return found


def changed_names(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """The names whose values differ, or that only one of them has."""
    return [name for name in {**old, **new} if old.get(name) != new.get(name)]


def note_origin(workdir: Path, step: int, devices: str) -> None:
    """Notes with what libraries and devices the steps after `step` are taken, in process 0."""
    if not is_main():
        return
    entries = [entry for entry in read_origins(workdir) if entry["after_step"] < step]
    here = {"versions": _versions(), "devices": devices}
    if not entries or {name: entries[-1].get(name) for name in here} != here:
        entries.append({"after_step": step, **here})
    write_json(workdir / ORIGIN, {"origins": entries})


def _versions() -> dict[str, str]:
    """Of the libraries and kernels, and the flags with which XLA compiles."""
    compiled = {"XLA_FLAGS": os.environ.get("XLA_FLAGS", ""), "kernels": library.description()}
    return {**library_versions(), **compiled}


def read_origins(workdir: Path) -> list[dict[str, Any]]:
    """The notes of `note_origin`, in order: after_step, versions, devices; empty without any.

    Raises:
      UserError: they are damaged.
    """
    path = workdir / ORIGIN
    if not path.exists():
        return []
    entries = read_json(path).get("origins")
    if not isinstance(entries, list):
        raise UserError(f"{path}: cannot be read: it has no origins")
    return entries


def differing_origin(workdir: Path, first: int, last: int, devices: str) -> list[str]:
    """How the steps first + 1 .. last were taken otherwise than here: `jax 0.10.2 -> 0.12.0`.

    Raises:
      UserError: the notes are damaged.
    """
    entries = read_origins(workdir)
    before = [entry for entry in entries if entry["after_step"] <= first][-1:]
    within = [entry for entry in entries if first < entry["after_step"] < last]
    lines: list[str] = []
    for entry in before + within:
        old, new = entry["versions"], _versions()
        lines += [f"{name} {old.get(name)} -> {new.get(name)}" for name in changed_names(old, new)]
        if entry["devices"] != devices:
            lines.append(f"devices {entry['devices']} -> {devices}")
    return list(dict.fromkeys(lines))
