"""The code and the libraries that a result depends on. Imports no jax."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import platform
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_NO_STEP = ("benchmark", "interop", "sweeps")
"""Rooms that no step of training depends on."""
_LIBRARIES = ("jax", "jaxlib", "flax", "optax", "numpy", "orbax-checkpoint")


@functools.cache
def code_digests() -> dict[str, str]:
    """File -> digest, for each source that training may depend on."""
    found = {}
    for path in sorted(_PACKAGE.rglob("*.py")):
        name = path.relative_to(_PACKAGE)
        if name.parts[0] not in _NO_STEP:
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
