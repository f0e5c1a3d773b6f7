"""What is asked of a work directory before anything of it is loaded. Imports no jax."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError, suggest
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.finetuning import parse_source
from seqmodels.config.serialization import from_json


def read_config(workdir: Path, flag: str = "--workdir") -> ExperimentConfig:
    """Reads the config of a run.

    Args:
      flag: what named the directory.

    Raises:
      UserError: there is no work directory, no run in it, or its config is damaged.
    """
    if not workdir.is_dir():
        raise UserError(f"{flag}={workdir}: no such directory")
    path = workdir / "config.json"
    if not path.is_file():
        raise UserError(f"{flag}={workdir}: not the work directory of a run, no config.json in it")
    return from_json(read_json(path))


def read_json(path: Path) -> dict[str, Any]:
    """Reads an object of a work directory.

    Raises:
      UserError: it is damaged.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: cannot be read: it holds no object")
    return values


def open_source(init_from: str, workdir: Path | None) -> tuple[Path, str | int, ExperimentConfig]:
    """Opens the run that another one starts from.

    Args:
      init_from: `DIR[@step]`.
      workdir: of the run that starts, where it has one.

    Returns:
      Its directory, the step that is asked for, and its config.

    Raises:
      UserError: it is no run, it is fitted, or it is the run itself.
    """
    name, step = parse_source(init_from)
    directory = Path(name).expanduser()
    if workdir is not None and directory.resolve() == workdir.resolve():
        raise UserError(f"--init_from={init_from}: is the run itself, which --workdir resumes")
    config = read_config(directory, "--init_from")
    if config.model.fitted:
        raise UserError(f"--init_from={init_from}: a {config.model.kind} is fitted, not trained")
    return directory, parse_step(step), config


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
