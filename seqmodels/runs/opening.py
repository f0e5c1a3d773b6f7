"""Checks and reading of a work directory before anything is loaded. Imports no jax."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError, an, suggest
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.finetuning import parse_source
from seqmodels.config.serialization import from_json


def read_config(workdir: Path, flag: str = "--workdir") -> ExperimentConfig:
    """Reads the config of a run.

    Args:
      flag: flag that named the directory, for messages.

    Raises:
      UserError: the directory does not exist, holds no run, or has a damaged config.
    """
    if not workdir.is_dir():
        raise UserError(f"{flag}={workdir}: no such directory")
    path = workdir / "config.json"
    if not path.is_file():
        raise UserError(f"{flag}={workdir}: not a work directory: it has no config.json")
    return read_config_file(path)


def read_config_file(path: Path) -> ExperimentConfig:
    """Reads the `config.json` of a work directory.

    Raises:
      UserError: it is damaged, or of a version whose configs have other fields.
    """
    values = read_json(path)
    try:
        return from_json(values)
    except UserError as error:
        problem = str(error).removeprefix("config: ")
        raise UserError(f"{path}: damaged, or of another version: {problem}") from None


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object of a work directory.

    Raises:
      UserError: it is damaged.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: cannot be read: it does not hold an object")
    return values


def open_source(init_from: str, workdir: Path | None) -> tuple[Path, str | int, ExperimentConfig]:
    """Opens the run that another one starts from.

    Args:
      init_from: `DIR[@step]`.
      workdir: work directory of the new run, if it has one.

    Returns:
      Its directory, the requested step, and its config.

    Raises:
      UserError: it is not a run, its model is fitted, or it is the new run itself.
    """
    name, step = parse_source(init_from)
    directory = Path(name).expanduser()
    if workdir is not None and directory.resolve() == workdir.resolve():
        raise UserError(f"--init_from={init_from}: is the run in --workdir itself")
    config = read_config(directory, "--init_from")
    if config.model.fitted:
        raise UserError(f"--init_from={init_from}: {an(config.model.kind)} is fitted, not trained")
    return directory, parse_step(step), config


def parse_step(step: str | int) -> str | int:
    """Parses `best`, `latest` or a number.

    Raises:
      UserError: anything else.
    """
    if isinstance(step, int) or step in ("best", "latest"):
        return step
    if step.isdecimal():
        return int(step)
    near = suggest(step, ("best", "latest"))
    raise UserError(f"--step={step}: must be best, latest or the number of a step{near}")
