"""Functions that the data of every kind use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seqmodels import registry
from seqmodels.config.data import DataConfig
from seqmodels.config.errors import UserError, suggest
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.data.datasets.dataset import Dataset
from seqmodels.protocols import BatchSource


def dataset_class(data: DataConfig) -> Any:
    """Returns the class of the registry's DATASETS that the config names; UserError where none."""
    if data.dataset not in registry.DATASETS:
        near = suggest(data.dataset, registry.DATASETS)
        raise UserError(f"data.name={data.name!r} is not known{near}")
    return registry.resolve(registry.DATASETS[data.dataset].implementation)


def open_dataset(data: DataConfig) -> Dataset:
    """Returns the data set that the config names; raises UserError where a path leads nowhere."""
    return dataset_class(data).open(data)


def get_split(splits: Mapping[str, Any], split: str) -> Any:
    """Returns a split; raises UserError where there is none of that name."""
    if split not in splits:
        names = ", ".join(splits)
        raise UserError(f"--split={split}: the data have no such split; one of: {names}")
    return splits[split]


def check_shapes(source: BatchSource, config: ExperimentConfig, why: str) -> None:
    """Raises UserError where a call of several steps would stack batches of several shapes."""
    steps = config.training.steps_per_call
    if len(source.shapes) > 1 and steps > 1:
        raise UserError(
            f"training.steps_per_call={steps}: with {why} a call takes one step, since batches "
            "differ in shape; set it to 1"
        )
