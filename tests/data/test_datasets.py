"""All registered data sets have one interface."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from seqmodels import registry
from seqmodels.config.data import DataConfig
from seqmodels.data.datasets.dataset import SPLITS, Dataset
from tests.data.sets import open_columns

BUILT_IN = (
    *("python_docs", "scales", "dates", "numbers", "order_sentences", "stories", "shapes"),
    *("shapes:8", "digits", "waves", "pass_fail", "motifs"),
)


def test_entries_name_columns_and_fields() -> None:
    fields = {field.name for field in dataclasses.fields(DataConfig)}
    for name, entry in registry.DATASETS.items():
        implementation = registry.resolve(entry.implementation)
        assert callable(implementation.open) and callable(implementation.prepare), name
        assert entry.summary and set(entry.options) <= fields, name


def test_a_built_in_data_set_is_its_entry_and_the_interface(tmp_path: Path) -> None:
    for name in BUILT_IN:
        dataset = open_columns(name, cache_dir=str(tmp_path))
        assert isinstance(dataset, Dataset) and dataset.description, name
        splits = dataset.splits()
        assert tuple(splits) == SPLITS, name
        for split, columns in splits.items():
            assert tuple(columns) == registry.DATASETS[name.partition(":")[0]].columns, name
            (count,) = {len(values) for values in columns.values()}
            assert count > 10, name
            assert split in dataset.locate(split, count - 1), name
        assert dataset.fingerprint() == open_columns(name, cache_dir=str(tmp_path)).fingerprint()
        type(dataset).prepare(DataConfig(name=name))
