"""What the data of every kind have in common."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from seqmodels import registry
from seqmodels.config.data import DataConfig
from seqmodels.config.errors import UserError, suggest
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.data.examples import ExampleRows
from seqmodels.data.sources import BatchSource
from seqmodels.types import DataSpec


@runtime_checkable
class Encoding(Protocol):
    """What maps between the data and numbers: a tokenizer, one a side, the names of classes.

    A run keeps the one that it was trained with.

    Attributes:
      kind: which.
    """

    kind: str

    def to_json(self) -> dict[str, Any]:
        """Returns all that there is to it."""
        ...

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes `path`, whole or not at all."""
        ...


@runtime_checkable
class Data(Protocol):
    """The data of an experiment, of any kind: `TextData`, `ImageData`, `PairData`, .."""

    @property
    def spec(self) -> DataSpec:
        """What the data decide about a model."""
        ...

    @property
    def encoding(self) -> Any:
        """An `Encoding`: made from the training split, or the run's."""
        ...

    @property
    def encoding_file(self) -> str:
        """What a run calls the file that keeps it."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash of all examples and the encoding."""
        ...

    @property
    def splits(self) -> Mapping[str, Any]:
        """`train`, and `validation` and `test` where the data set has them."""
        ...

    @property
    def where(self) -> Any:
        """Where what was made of them is kept."""
        ...

    @property
    def notes(self) -> list[str]:
        """Lines for the user about the data."""
        ...

    def batches(self, config: ExperimentConfig, split: str = "train") -> BatchSource:
        """Returns the batches of a split, a function of the step (law 2)."""
        ...

    def summary(self) -> str:
        """The encoding in a few words."""
        ...

    def description(self) -> dict[str, Any]:
        """What a run keeps of the data: `fingerprint`, `splits` (name -> what -> how many), ..."""
        ...


@runtime_checkable
class ExampleData(Data, Protocol):
    """Data of whole examples, which bring their own rows of an evaluation."""

    def rows(self, split: str, batch_size: int) -> ExampleRows:
        """Returns every example of a split exactly once."""
        ...


def make_task(config: ExperimentConfig) -> Any:
    """Returns the task of a config."""
    return registry.resolve(registry.TASKS[config.task.kind].implementation)(config.task)


def cache_directory(data: DataConfig) -> Path:
    """Returns data.cache_dir, else $SEQMODELS_CACHE_DIR, else ~/.cache/seqmodels."""
    named = data.cache_dir or os.environ.get("SEQMODELS_CACHE_DIR")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "seqmodels"


def dataset_class(data: DataConfig) -> Any:
    """Returns the class of the registry's DATASETS that the config names.

    Raises:
      UserError: there is none, or it is of another kind.
    """
    name = data.name.partition(":")[0]
    known = [n for n, e in registry.DATASETS.items() if registry.resolve(e.config) is type(data)]
    if name not in known:
        raise UserError(f"data.name={data.name!r} is not known{suggest(name, known)}")
    return registry.resolve(registry.DATASETS[name].implementation)


def refuse_paths(data: DataConfig) -> None:
    """Raises UserError where files are named that the data set does not read."""
    for field, allowed in data.path_problems():
        raise UserError(f"data.{field}={data.paths()[field]}: {allowed}")


def get_split(splits: Mapping[str, Any], split: str) -> Any:
    """Returns a split; raises UserError where there is none of that name."""
    if split not in splits:
        raise UserError(f"the data have no {split!r} split{suggest(split, splits)}")
    return splits[split]


def check_shapes(source: BatchSource, config: ExperimentConfig, why: str) -> None:
    """Raises UserError where a call of several steps would stack batches of several shapes."""
    steps = config.training.steps_per_call
    if len(source.shapes) > 1 and steps > 1:
        raise UserError(
            f"training.steps_per_call={steps}: with {why} a call takes one step, for batches "
            "differ in shape; set it to 1"
        )
