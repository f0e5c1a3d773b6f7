"""A work directory belongs to one run: its config, its data, its tokenizer. Imports no jax."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.serialization import differences, from_json, to_json

# Where a run finds things and on what devices it runs; the run itself is the same without them.
_MAY_CHANGE = (
    "data.cache_dir",
    "data.tfds_data_dir",
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


def claim(workdir: Path, config: ExperimentConfig) -> None:
    """Makes the work directory for a run of `config`, or finds that run in it.

    Raises:
      UserError: the directory holds checkpoints of another run (names the fields that differ), is
        no directory, or cannot be written.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        probe = workdir / f".probe.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"--workdir={workdir}: cannot be written: {error.strerror}") from None
    path = workdir / "config.json"
    saved = has_checkpoints(workdir)
    if saved and not path.exists():
        raise UserError(f"--workdir={workdir} holds checkpoints but no config.json")
    if saved:
        changed = [
            line
            for line in differences(from_json(json.loads(path.read_text())), config)
            if line.partition(":")[0] not in _MAY_CHANGE
        ]
        if changed:
            raise UserError(
                f"--workdir={workdir} holds a run of another config, differing in "
                + "; ".join(changed)
            )
    write_json(path, to_json(config))


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
