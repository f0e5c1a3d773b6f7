"""Whole examples: the columns of a data set, each encoded by the feature of its role."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels import registry
from seqmodels.config.data import ExamplesDataConfig
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import FeatureConfig
from seqmodels.data.common import check_shapes, get_split, open_dataset
from seqmodels.data.datasets.dataset import Dataset
from seqmodels.data.examples import ExampleRows, Examples, ExampleSource, ExampleSplit
from seqmodels.data.features.feature import ColumnSource, EncodedColumn, Opened
from seqmodels.data.features.saved import FEATURES_FILE, read_features, save_features
from seqmodels.data.store import cache_directory
from seqmodels.protocols import BatchSource, Features, Task
from seqmodels.types import DataSpec

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ExampleData:
    """Examples of one data set; see `protocols.Data`.

    Attributes:
      splits: an `ExampleSplit` each.
      dataset: where the columns come from.
      max_shapes: of the batches of a split.
    """

    spec: DataSpec
    features: Features
    fingerprint: str
    splits: dict[str, ExampleSplit]
    where: str
    notes: list[str]
    dataset: Dataset
    task: Task
    max_shapes: int
    read: Any

    features_file = FEATURES_FILE

    @classmethod
    def load(
        cls, config: ExperimentConfig, task: Task, features: Features | None = None
    ) -> ExampleData:
        """Opens the data of an experiment, encoding the columns first where the cache lacks them.

        Args:
          config: of the experiment; its data section is read.
          task: of the experiment.
          features: of a run, to be used instead of ones fitted on the training split.

        Raises:
          UserError: names the field, file or symbol at fault, a class that is not known or has no
            example, or a held-out example that is too long.
        """
        data: Any = config.data  # an ExamplesDataConfig: the registry has chosen this class by it
        dataset, cache = open_dataset(data), cache_directory(data)
        read = functools.cache(dataset.splits)
        opened = _open_features(data, dataset, cache, task, features or {}, read)
        splits, notes = {}, [note for one in opened.values() for note in one.notes]
        for name in next(iter(opened.values())).columns:
            columns = {role: one.columns[name] for role, one in opened.items()}
            splits[name], said = _keep(columns, name, data, opened, dataset)
            notes += said
            for role, one in opened.items():
                kept, fresh = splits[name].kept, features is None
                notes += one.feature.check_kept(columns[role], kept, name, f"data.{role}", fresh)
        for note in notes:
            _log.warning("%s: %s", data.name, note)
        found = {role: one.feature for role, one in opened.items()}
        for name, split in splits.items():
            task.check_rows(split, found, functools.partial(dataset.locate, name))
        where = next((one.where for one in opened.values() if one.where), dataset.description)
        return cls(
            task.make_spec(found),
            found,
            _fingerprint(opened, splits),
            splits,
            where,
            notes,
            dataset,
            task,
            data.max_shapes,
            read,
        )

    @classmethod
    def read_features(cls, path: Path, config: ExperimentConfig) -> Features:
        """Reads what a run kept."""
        data: Any = config.data
        return read_features(path, data.features())

    def save_features(self, path: Path) -> None:
        """Writes what `read_features` reads."""
        save_features(self.features, path)

    def check_split(self, split: str) -> None:
        """Raises UserError where there is no such split."""
        get_split(self.splits, split)

    def check_model(self, kind: str, limit: int | None, evaluation: Any) -> None:
        """Raises UserError where all rows of a feature have more steps than the model positions.

        Features whose rows differ have a max_length, by which the config would have been refused.
        """
        del evaluation
        for role, feature in self.features.items():
            steps = feature.num_steps
            if limit is not None and steps is not None and steps > limit:
                raise UserError(
                    f"data.{role}: has {steps} steps, and the {kind} model.max_length={limit}"
                )

    def batches(self, config: ExperimentConfig, split: str = "train") -> BatchSource:
        """Returns the batches of a split: every example once an epoch, with others as long.

        Raises:
          UserError: the split is smaller than a batch.
        """
        size, seed = config.data.batch_size, config.training.seed
        source = ExampleSource(self._examples(split, size), size, seed, split)
        check_shapes(source, config, f"data.max_shapes={self.max_shapes}")
        return self.task.make_source(source, self.features, seed)

    def rows(self, split: str, evaluation: Any, seed: int) -> ExampleRows:
        """Returns every example of a split once, for evaluation."""
        del seed
        size = evaluation.batch_size
        return ExampleRows(self._examples(split, size), size)

    def _examples(self, split: str, batch_size: int) -> Examples:
        make_batch = functools.partial(self.task.make_batch, features=self.features)
        return Examples(get_split(self.splits, split), make_batch, batch_size, self.max_shapes)

    def raw(self, role: str, split: str) -> list[Any]:
        """The raw values of a role, of the examples that are used, in their order."""
        column = self.read()[split][self._column(role)]
        return [column[i] for i in self.splits[split].kept]

    def _column(self, role: str) -> str:
        return self.features[role].config.column  # type: ignore[attr-defined]

    def description(self) -> dict[str, Any]:
        """The fingerprint and the sizes: what a run keeps of the data it was trained on."""
        described: dict[str, Any] = {"fingerprint": self.fingerprint}
        found = {role: feature.description() for role, feature in self.features.items()}
        names = [name for values in found.values() for name in values]
        for role, values in found.items():
            for name, value in values.items():
                described[f"{role}_{name}" if names.count(name) > 1 else name] = value
        splits = {name: split.sizes() for name, split in self.splits.items()}
        return {**described, "splits": splits}

    def summary(self) -> str:
        """The features in a few words."""
        return "; ".join(f"{role}: {f.summary()}" for role, f in self.features.items())


def _open_features(
    data: ExamplesDataConfig,
    dataset: Dataset,
    cache: Path,
    task: Task,
    saved: Features,
    read: Any,
) -> dict[str, Opened]:
    """Opens the features of all roles, those of one kind together."""
    configs = data.features()
    sources = {
        role: ColumnSource(data.name, dataset, config.column, role, cache, read)
        for role, config in configs.items()
    }
    affixes = {role: task.affixes(role) for role in configs}
    opened: dict[str, Opened] = {}
    by_kind: dict[str, list[str]] = {}
    for role, config in configs.items():
        by_kind.setdefault(config.kind, []).append(role)
    for kind, roles in by_kind.items():
        feature = registry.resolve(registry.FEATURES[kind].implementation)
        own = {role: configs[role] for role in roles}
        opened |= feature.open_all(own, {r: sources[r] for r in roles}, saved, affixes)
    return {role: opened[role] for role in configs}


def _fingerprint(opened: Mapping[str, Opened], splits: Mapping[str, ExampleSplit]) -> str:
    """A hash of all examples that are used and of the features."""
    digests = [one.digest for one in opened.values() if one.digest]
    base = digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode())
    base = base if isinstance(base, str) else base.hexdigest()
    own = {role: one for role, one in opened.items() if not one.digest and one.start}
    if not own or any(one.is_whole for one in opened.values()):
        return base
    digest = hashlib.sha256((base + "".join(one.start for one in own.values())).encode())
    for role in own:
        for split in splits.values():
            for array in split.columns[role].content(split.kept):
                digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _keep(
    columns: Mapping[str, EncodedColumn],
    name: str,
    data: ExamplesDataConfig,
    opened: Mapping[str, Opened],
    dataset: Dataset,
) -> tuple[ExampleSplit, list[str]]:
    """Leaves out the examples of the training split that are too long; refuses them elsewhere."""
    notes: list[str] = []
    _refuse_misaligned(columns, name, opened, dataset)
    for role, column in columns.items():
        if opened[role].feature.is_aligned and "inputs" in columns:
            column.lengths = columns["inputs"].lengths  # which may be cut
    fits = np.ones(len(next(iter(columns.values()))), bool)
    bounds = {}
    for role, config in data.features().items():
        lengths, bound = columns[role].lengths, config.lengths().get("max_length")
        locate = functools.partial(dataset.locate, name)
        notes += opened[role].feature.check(columns[role], name, f"data.{role}", locate)
        if lengths is not None and bound is not None:
            bounds[role] = bound
            fits &= lengths <= bound
    if not fits.all():
        if name != "train" or not fits.any():
            raise UserError(_too_long(columns, data.features(), bounds, fits, name, dataset))
        fields = " or ".join(f"data.{role}.max_length={bound}" for role, bound in bounds.items())
        left = f"{(~fits).sum()} of {len(fits)} examples of the train split are longer than"
        notes.append(f"{left} {fields} and left out")
    return ExampleSplit(columns, np.flatnonzero(fits)), notes


def _too_long(
    columns: Mapping[str, EncodedColumn],
    configs: Mapping[str, FeatureConfig],
    bounds: Mapping[str, int],
    fits: np.ndarray,
    name: str,
    dataset: Dataset,
) -> str:
    first = int(np.flatnonzero(~fits)[0])
    found = {role: np.asarray(columns[role].lengths) for role in bounds}
    role = next(role for role, bound in bounds.items() if found[role][first] > bound)
    setting = configs[role].cuts_if
    hint = f"; data.{role}.{setting} keeps the first ones" if setting else ""
    return (
        f"data.{role}.max_length={bounds[role]}: {dataset.locate(name, first)} has "
        f"{int(found[role][first])} {columns[role].unit}s; the longest of the {name} split has "
        f"{int(found[role].max())}{hint}"
    )


def _refuse_misaligned(
    columns: Mapping[str, EncodedColumn], name: str, opened: Mapping[str, Opened], dataset: Dataset
) -> None:
    """Features that are aligned with the inputs have as many steps."""
    inputs = columns.get("inputs")
    for role, column in columns.items():
        if not opened[role].feature.is_aligned or inputs is None:
            continue
        assert inputs.lengths is not None
        assert inputs.num_steps is not None
        assert column.num_steps is not None
        if (inputs.lengths > inputs.num_steps).any():
            raise UserError(
                "data.inputs: a tokenizer that adds tokens to a text cannot be used where "
                f"{role} have a label for each step"
            )
        odd = np.flatnonzero(inputs.num_steps != column.num_steps)
        if len(odd):
            row = int(odd[0])
            raise UserError(
                f"{dataset.locate(name, row)}: {int(inputs.num_steps[row])} steps of the inputs, "
                f"but {int(column.num_steps[row])} of the {role}"
            )
