"""A work directory belongs to one run: its config, its data, its tokenizer. Imports no jax."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.serialization import differences, from_json, to_json

_PATHS = (
    *("path", "train_path", "validation_path", "test_path"),
    *("tokenizer_path", "tfds_data_dir", "cache_dir"),
)

# Where a run finds things (what it finds there has a fingerprint) and on what devices it runs.
_MAY_CHANGE = (
    *(f"data.{field}" for field in _PATHS),
    "training.mesh_data",
    "training.mesh_fsdp",
    "training.mesh_tensor",
)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w") as f:
        json.dump(value, f, indent=1, ensure_ascii=False)
        f.write("\n")
        f.flush()
        os.fsync(f.fileno())
    temporary.replace(path)


@contextlib.contextmanager
def only_trainer(workdir: Path) -> Iterator[None]:
    """Holds the work directory against other processes; the lock dies with its process.

    Raises:
      UserError: another process trains there, or the directory cannot be written.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(workdir / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise UserError(f"--workdir={workdir}: another process is training there") from None
    except OSError as error:
        raise UserError(f"--workdir={workdir}: cannot be written: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


def refuse_other_run(workdir: Path, config: ExperimentConfig) -> None:
    """Compares with the run that is there; writes nothing.

    Raises:
      UserError: the directory holds checkpoints of another run; names the fields that differ.
    """
    if not has_checkpoints(workdir):
        return
    path = workdir / "config.json"
    if not path.exists():
        raise UserError(f"--workdir={workdir} holds checkpoints but no config.json")
    changed = [
        line
        for line in differences(from_json(json.loads(path.read_text())), config)
        if line.partition(":")[0] not in _MAY_CHANGE
    ]
    if changed:
        raise UserError(
            f"--workdir={workdir} holds a run of another config, differing in " + "; ".join(changed)
        )


def claim(workdir: Path, config: ExperimentConfig) -> None:
    """Writes the config of the run, paths made absolute so that it is found from anywhere.

    Raises:
      UserError: see `refuse_other_run`.
    """
    refuse_other_run(workdir, config)
    resolved = to_json(config)
    for field in _PATHS:
        if resolved["data"].get(field) is not None:
            path = os.path.expanduser(resolved["data"][field])
            resolved["data"][field] = os.path.abspath(path)
    write_json(workdir / "config.json", resolved)


def has_checkpoints(workdir: Path) -> bool:
    """Whether a run has saved anything there; one that has not can be begun anew."""
    return any(path.name.isdecimal() for path in (workdir / "checkpoints").glob("*"))


def claim_data(workdir: Path, description: dict[str, Any]) -> None:
    """Keeps what the run was trained on, or compares with it.

    Args:
      description: the fingerprint of the tokenised data and figures for a person.

    Raises:
      UserError: the run in `workdir` was trained on other data.
    """
    path = workdir / "data.json"
    if not path.exists() or not has_checkpoints(workdir):
        write_json(path, description)
        return
    kept = json.loads(path.read_text())
    if kept["fingerprint"] != description["fingerprint"]:
        changed = [k for k in description if k != "fingerprint" and kept.get(k) != description[k]]
        raise UserError(
            f"--workdir={workdir} was trained on other data: fingerprint "
            f"{kept['fingerprint'][:12]} -> {description['fingerprint'][:12]}"
            + "".join(f"; {k} {kept.get(k)} -> {description[k]}" for k in changed)
        )
