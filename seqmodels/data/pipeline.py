"""From a data config to batches: each batch is a function of its step (law 2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqmodels import registry
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.data.common import dataset_class
from seqmodels.protocols import Data, Features, Task


def _kind(config: ExperimentConfig) -> Any:
    return registry.resolve(registry.DATA[config.data.kind].implementation)


def load_data(config: ExperimentConfig, task: Task, features: Features | None = None) -> Data:
    """Opens the data of an experiment, after preparing what the cache lacks.

    Args:
      config: of the experiment; its data section is read.
      task: of the experiment.
      features: of a run, to be used instead of ones fitted on the training split.

    Raises:
      UserError: names the field, file or symbol at fault.
    """
    return _kind(config).load(config, task, features)


def read_features(config: ExperimentConfig, workdir: Path) -> Features:
    """Reads the features that a run keeps.

    Raises:
      UserError: there are none, or they are damaged.
    """
    kind = _kind(config)
    path = workdir / kind.features_file
    if not path.is_file():
        raise UserError(f"--workdir={workdir} has no {kind.features_file}: train first")
    return kind.read_features(path, config)


def prepare(config: ExperimentConfig, task: Task) -> dict[str, Any]:
    """Downloads (where the data set can) and encodes.

    Returns:
      dataset, where, encoding (in words), notes and `Data.description`.
    """
    dataset_class(config.data).prepare(config.data)
    data = load_data(config, task)
    return {
        "dataset": config.data.name,
        "where": data.where,
        "encoding": data.summary(),
        **data.description(),
        "notes": data.notes,
    }
