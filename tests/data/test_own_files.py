"""The user's own files as examples: one table in every format, and the splits that paths make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import (
    ImageConfig,
    LabelConfig,
    TagsConfig,
    TokenizerKind,
    TokensConfig,
    ValuesConfig,
)
from seqmodels.config.models import PerceptronConfig
from seqmodels.config.tasks import ClassificationConfig, TaggingConfig, TranslationConfig
from seqmodels.config.transformers import TransformerConfig
from seqmodels.config.validate import validate
from tests.data.helpers import experiment as text_experiment
from tests.data.sets import experiment, mistake, same, shown, tables, write_table
from tests.opening import load

WORD = TokenizerKind.WORD
ROWS = [
    {
        "id": n,
        "text": " ".join("abcd"[(n + i) % 4] for i in range(n % 6 + 1)) + f" w{n}",
        "tags": [*("NVXY"[(n + i) % 4] for i in range(n % 6 + 1)), "W"],
        "values": [0.5 * n, *(i - n for i in range(n % 5))],
        "label": n % 3,
        "other": f"z{n % 7} {n}",
    }
    for n in range(60)
]
TASKS: dict[str, tuple[Any, dict[str, Any]]] = {
    "a text with a class": (
        ClassificationConfig(),
        {"inputs": TokensConfig(tokenizer=WORD), "targets": LabelConfig()},
    ),
    "a text with tags": (
        TaggingConfig(),
        {"inputs": TokensConfig(tokenizer=WORD), "targets": TagsConfig()},
    ),
    "a series with a class": (
        ClassificationConfig(),
        {"inputs": ValuesConfig(), "targets": LabelConfig()},
    ),
    "a pair": (
        TranslationConfig(),
        {
            "source": TokensConfig(column="other", tokenizer=TokenizerKind.SHARED),
            "targets": TokensConfig(),
        },
    ),
    "numbers as texts": (
        ClassificationConfig(),
        {"inputs": TokensConfig(column="id"), "targets": LabelConfig()},
    ),
}


@pytest.mark.parametrize("name", TASKS)
def test_a_table_has_the_same_batches_in_every_format(tmp_path: Path, name: str) -> None:
    """A file per split, and, where the first column is not a list, one that is cut."""
    task, features = TASKS[name]
    parts = {"train": ROWS[:40], "validation": ROWS[40:50], "test": ROWS[50:]}
    found: dict[str, list[Any]] = {}
    for ending in ("csv", "tsv", "jsonl"):
        folder = tmp_path / ending
        settings = [tables(folder, ending, **parts)]
        if name != "a series with a class":
            whole = {"path": write_table(folder / f"all.{ending}", ROWS)}
            whole |= {"validation_fraction": 0.2, "test_fraction": 0.2}
            settings.append({"name": "table", "cache_dir": str(folder / "cache"), **whole})
        for how, fields in enumerate(settings):
            config = experiment(task, 7, **features, **fields)
            data = load(config)
            source = data.batches(config)
            batches = [source.batch(step) for step in range(1, 1 + source.batches_per_epoch)]
            batches += [
                batch
                for split in ("validation", "test")
                for batch, _ in data.rows(split, config.evaluation, 0).batches(1)
            ]
            assert sum(len(shown(data, batch)) for batch in batches) == len(ROWS)
            if ending == "csv":
                found[f"{how}"] = [data.fingerprint, batches]
            fingerprint, expected = found[f"{how}"]
            assert data.fingerprint == fingerprint
            assert all(same(*pair) for pair in zip(batches, expected, strict=True))


def in_a_table(folder: Path) -> ExperimentConfig:
    paths = tables(folder, train=ROWS, test=ROWS[:9])
    task, features = TASKS["a text with a class"]
    return experiment(task, **features, **paths)


def in_parallel(folder: Path) -> ExperimentConfig:
    for split, rows in (("train", ROWS), ("test", ROWS[:9])):
        for name in ("text", "other"):
            lines = "".join(f"{row[name]}\n" for row in rows)
            (folder / f"{split}.{name}").write_text(lines, encoding="utf-8")
    paths: dict[str, Any] = {
        f"{s}_path": str(folder / f"{s}.{{column}}") for s in ("train", "test")
    }
    task, features = TASKS["a pair"]
    config = experiment(task, name="parallel_text", **features, **paths)
    config.model = TransformerConfig(max_length=128)
    return config


def in_a_folder(folder: Path) -> ExperimentConfig:
    for split, count in (("train", 60), ("test", 9)):
        for n in range(count):
            path = folder / split / "xyz"[n % 3] / f"{n}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((2, 2), 3 * n, np.uint8)).save(path)
    paths: dict[str, Any] = {f"{s}_path": str(folder / s) for s in ("train", "test")}
    features = {"inputs": ImageConfig(), "targets": LabelConfig()}
    config = experiment(ClassificationConfig(), name="folder", **features, **paths)
    config.model = PerceptronConfig()
    return config


@pytest.mark.parametrize("make", [in_a_table, in_parallel, in_a_folder])
def test_of_a_training_and_a_test_file_the_first_is_cut(tmp_path: Path, make: Any) -> None:
    """By the validation fraction alone; the test file stays whole."""
    config = make(tmp_path)
    config.data.cache_dir = str(tmp_path / "cache")
    config.data.validation_fraction, config.data.test_fraction = 0.25, 0.7
    validate(config)
    data = load(config)
    places = {
        split: [data.dataset.locate(split, row) for row in one.kept.tolist()]
        for split, one in data.splits.items()
    }
    assert list(places) == ["train", "validation", "test"]
    assert 7 <= len(places["validation"]) <= 23 and len(places["test"]) == 9
    trained, test = places["train"] + places["validation"], places["test"]
    assert len(trained) == len(set(trained)) == 60 and len(set(test)) == 9
    assert all(f"{tmp_path}/train" in place for place in trained)
    assert all(f"{tmp_path}/test" in place for place in test)
    config.data.test_fraction = 0.0
    assert load(config).fingerprint == data.fingerprint
    config.data.validation_fraction = 0.0
    assert mistake(lambda: validate(config)) == (
        "--config.data.validation_fraction=0.0: must be above 0 with data.train_path"
    )
    config.data.validation_fraction, config.data.test_path = 0.25, None
    assert mistake(lambda: validate(config)) == (
        "--config.data.validation_path=none: must be a path, or data.test_path, next to "
        "data.train_path"
    )


def test_of_text_too(tmp_path: Path) -> None:
    for name, text in (("train.txt", "abcdefghij" * 10), ("test.txt", "jihg")):
        (tmp_path / name).write_text(text)
    paths = {f"{split}_path": str(tmp_path / f"{split}.txt") for split in ("train", "test")}
    config = text_experiment(
        name="text_file",
        cache_dir=str(tmp_path / "cache"),
        validation_fraction=0.25,
        test_fraction=0.7,
        **paths,
    )
    validate(config)
    data = load(config)
    found = {split: data.tokenizer.decode(one.tokens) for split, one in data.splits.items()}
    text = "abcdefghij" * 10
    assert found == {"train": text[:75], "validation": text[75:], "test": "jihg"}
