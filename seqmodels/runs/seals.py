"""Checksums of committed checkpoints, because orbax restores flipped bytes without an error."""

from __future__ import annotations

import enum
import hashlib
import json
import os
from pathlib import Path

SEAL = "seal.json"
_TEMPORARY = "seal.json.tmp"


class SealState(enum.StrEnum):
    SEALED = "sealed"
    UNSEALED = "unsealed"
    DAMAGED = "damaged"


def _digest(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _digests(directory: Path) -> dict[str, str]:
    own = (SEAL, _TEMPORARY)
    files = sorted(p for p in directory.rglob("*") if p.is_file() and p.name not in own)
    return {p.relative_to(directory).as_posix(): _digest(p) for p in files}


def write_seal(directory: Path) -> None:
    """Seals a committed checkpoint; the seal is written completely or not at all."""
    temporary = directory / _TEMPORARY
    with temporary.open("w") as f:
        json.dump(_digests(directory), f, indent=1, allow_nan=False)
        f.flush()
        os.fsync(f.fileno())
    temporary.replace(directory / SEAL)


def seal_digest(directory: Path) -> str:
    """Fingerprint of a checkpoint, sealed or not: the sha256 of its checksums."""
    seal = directory / SEAL
    digests = json.loads(seal.read_text()) if seal.exists() else _digests(directory)
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def check_seal(directory: Path) -> tuple[SealState, list[str]]:
    """Compares a checkpoint with its seal.

    Returns:
      The state, and the files that are missing, changed or unexpected. A checkpoint is without a
      seal if its process ended between commit and seal; it may be complete.
    """
    seal = directory / SEAL
    if not seal.exists():
        return SealState.UNSEALED, []
    try:
        expected = json.loads(seal.read_text())
    except (ValueError, OSError):
        return SealState.DAMAGED, [SEAL]
    if not isinstance(expected, dict):
        return SealState.DAMAGED, [SEAL]
    try:
        found = _digests(directory)
    except OSError as error:  # the seal cannot be read, or is being deleted
        return SealState.DAMAGED, [os.path.relpath(error.filename or directory, directory)]
    differing = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    return (SealState.DAMAGED, sorted(differing)) if differing else (SealState.SEALED, [])
