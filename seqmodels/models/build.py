"""From a config to a model."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp

from seqmodels import registry
from seqmodels.config.errors import UserError
from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import CellConfig
from seqmodels.layers.cells import RecurrentCell
from seqmodels.protocols import Model
from seqmodels.types import DataSpec


def build_model(config: ModelConfig, spec: DataSpec, dtype: Any = jnp.float32) -> Model:
    """Builds the model that `config.kind` names.

    Args:
      config: hyper-parameters.
      spec: inputs and outputs of the data.
      dtype: dtype of the arithmetic; parameters are float32.

    Raises:
      ValueError: fields of the config contradict each other. The commands validate a config
        before; a config built in Python is checked here.
    """
    for field, allowed in config.problems():
        raise ValueError(f"{field} {allowed}")
    model = registry.resolve(registry.MODELS[config.kind].implementation)
    return model(config=config, spec=spec, dtype=dtype)


def check_misfits(config: ModelConfig, spec: DataSpec) -> None:
    """Raises UserError where fields of the model do not go with the data."""
    for field, allowed in config.misfits(spec):
        raise UserError(f"--config.model.{field}={getattr(config, field)}: {allowed}")


def make_cell(config: CellConfig, dtype: Any = jnp.float32) -> RecurrentCell:
    """Builds the cell that `config.cell` names.

    The cell receives every field that both it and the config declare, and the options of its
    registry line.
    """
    entry = registry.CELLS[config.cell]
    cell = registry.resolve(entry.implementation)
    declared = {field.name for field in dataclasses.fields(cell)}
    fields = {name: value for name, value in vars(config).items() if name in declared}
    return cell(**fields, **entry.options, dtype=dtype)
