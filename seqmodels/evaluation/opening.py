"""What is asked of a work directory before anything of it is loaded. Imports no jax."""

from __future__ import annotations

import json
from pathlib import Path

from seqmodels.config.errors import UserError, suggest
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.serialization import from_json


def read_config(workdir: Path) -> ExperimentConfig:
    """Reads the config of a run.

    Raises:
      UserError: there is no work directory, no run in it, or its config is damaged.
    """
    if not workdir.is_dir():
        raise UserError(f"--workdir={workdir}: no such directory")
    path = workdir / "config.json"
    if not path.is_file():
        raise UserError(
            f"--workdir={workdir}: not the work directory of a run, no config.json in it"
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    return from_json(values)


def parse_step(step: str | int) -> str | int:
    """Returns `best`, `latest` or a number.

    Raises:
      UserError: anything else.
    """
    if isinstance(step, int) or step in ("best", "latest"):
        return step
    if step.isdecimal():
        return int(step)
    near = suggest(step, ("best", "latest"))
    raise UserError(f"--step={step}: must be best, latest or the number of a step{near}")
