"""How the tests open a data set, and data of whole examples."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from seqmodels.config.data import ExamplesDataConfig, TextDataConfig
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import TokensConfig
from seqmodels.config.recurrent import RecurrentEncoderConfig
from seqmodels.config.tasks import TaskConfig
from seqmodels.data.common import open_dataset
from seqmodels.types import Batch


def open_text(name: str, **fields: Any) -> Any:
    """Opens a data set for a stream of text; `fields` are those of the data config."""
    return open_dataset(TextDataConfig(name=name, **fields))


def open_columns(name: str, columns: dict[str, str] | None = None, **fields: Any) -> Any:
    """Opens a data set for examples of these columns, by role: {"inputs": "text"}."""
    features: Any = {role: TokensConfig(column=name) for role, name in (columns or {}).items()}
    return open_dataset(ExamplesDataConfig(name=name, **features, **fields))


def mistake(call: Callable[[], Any]) -> str:
    """The line that `call` refuses its data with."""
    with pytest.raises(UserError) as raised:
        call()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def digest_of(splits: dict[str, dict[str, list[str]]]) -> str:
    """A hash of the rows of each split; results on other splits could not be compared."""
    values = {split: list(columns.values()) for split, columns in splits.items()}
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


def experiment(
    task: TaskConfig, batch_size: int = 4, seed: int = 0, **data: Any
) -> ExperimentConfig:
    """An experiment over whole examples; its model does not matter."""
    settings = ExamplesDataConfig(batch_size=batch_size, **data)
    config = ExperimentConfig(RecurrentEncoderConfig(), settings, task)
    config.training.seed = seed
    return config


def write_table(path: Path, rows: list[dict[str, Any]]) -> str:
    """Writes a table in the format of the file's ending; lists become numbers or names in a row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        lines = [json.dumps(row) for row in rows]
    else:
        delimiter = {".csv": ",", ".tsv": "\t"}[path.suffix]
        values = [[_flat(value) for value in row.values()] for row in rows]
        lines = [delimiter.join(row) for row in [list(rows[0]), *values]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def _flat(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def tables(folder: Path, ending: str = "jsonl", **rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Fields of the data config of a table per split, with a cache next to them."""
    paths = {f"{name}_path": write_table(folder / f"{name}.{ending}", rows[name]) for name in rows}
    return {"name": "table", "cache_dir": str(folder / "cache"), **paths}


def shown(data: Any, batch: Batch) -> list[str]:
    """The rows of a batch as text, without those that are padding."""
    rows = [data.task.show(batch, row, data.features) for row in range(len(batch.inputs))]
    return [row for row in rows if row != "(padding)"]


def same(one: Batch, other: Batch) -> bool:
    """Whether two batches have the same bits and the same form."""
    if jax.tree.structure(one) != jax.tree.structure(other):
        return False
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in leaves)
