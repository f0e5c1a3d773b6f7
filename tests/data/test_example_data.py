"""Whole examples: from columns to batches, whatever the features; law 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import (
    ImageConfig,
    LabelConfig,
    TagsConfig,
    TokenizerKind,
    TokensConfig,
    ValuesConfig,
)
from seqmodels.config.tasks import ClassificationConfig, TaggingConfig, TranslationConfig
from seqmodels.data.example_data import ExampleData
from seqmodels.data.pipeline import prepare, read_features
from seqmodels.protocols import BatchSource, Data, Rows
from seqmodels.tasks.build import build_task
from seqmodels.tasks.task import Task
from seqmodels.types import (
    Batch,
    ClassOutput,
    DataSpec,
    ImageInput,
    TokenInput,
    ValueInput,
    VocabOutput,
)
from tests.data.sets import experiment, mistake, same, shown, tables
from tests.opening import load

WORD = TokenizerKind.WORD
SPLITS = {"train": range(40), "validation": range(5), "test": range(5, 12)}
Examples = tuple[ExperimentConfig, dict[str, list[str]]]
"""A config, and the examples of each split as `show` writes them."""


def words_of(number: int) -> list[str]:
    return ["abcd"[(number + i) % 4] for i in range(number % 7 + 1)]


def of_table(folder: Path, row: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    return tables(folder, **{split: [row(n) for n in numbers] for split, numbers in SPLITS.items()})


def classes(folder: Path, **data: Any) -> Examples:
    row = lambda n: {"text": " ".join(words_of(n)), "label": "xyz"[n % 3]}
    expected = {s: [f"{row(n)['label']}\n{row(n)['text']}" for n in of] for s, of in SPLITS.items()}
    inputs = TokensConfig(tokenizer=WORD)
    data = {**of_table(folder, row), "inputs": inputs, "targets": LabelConfig(), **data}
    return experiment(ClassificationConfig(), **data), expected


def tags(folder: Path, **data: Any) -> Examples:
    row = lambda n: {"text": " ".join(words_of(n)), "tags": [x.upper() for x in words_of(n)]}
    expected = {
        split: [f"{row(n)['text'].upper()}\n{row(n)['text']}" for n in of]
        for split, of in SPLITS.items()
    }
    inputs = TokensConfig(tokenizer=WORD)
    data = {**of_table(folder, row), "inputs": inputs, "targets": TagsConfig(), **data}
    return experiment(TaggingConfig(), **data), expected


def values(folder: Path, **data: Any) -> Examples:
    row = lambda n: {"values": [n + 1 + i * i for i in range(n % 7 + 1)], "label": n % 3}
    expected = {
        split: [f"{n % 3}\n{' '.join(map(str, row(n)['values']))}" for n in of]
        for split, of in SPLITS.items()
    }
    data = {**of_table(folder, row), "inputs": ValuesConfig(), "targets": LabelConfig(), **data}
    return experiment(ClassificationConfig(), **data), expected


def pairs(folder: Path, **data: Any) -> Examples:
    row = lambda n: {"source": "ab" * (n % 9) + "c", "target": "x" * (n % 5 + 1) + "y"}
    expected = {
        split: [" -> ".join(row(n).values()) for n in numbers] for split, numbers in SPLITS.items()
    }
    source = TokensConfig(column="source", tokenizer=TokenizerKind.SHARED)
    targets = TokensConfig(column="target")
    data = {**of_table(folder, row), "source": source, "targets": targets, **data}
    return experiment(TranslationConfig(), **data), expected


def images(folder: Path, **data: Any) -> Examples:
    """Images of 4 columns and 8 rows, of which `show` draws every other one."""
    expected: dict[str, list[str]] = {}
    for split, numbers in SPLITS.items():
        for n in sorted(numbers, key=lambda n: (n % 3, n)):
            pixels = np.array([n >> bit & 1 for bit in range(16)], np.uint8).reshape(4, 4)
            path = folder / split / "xyz"[n % 3] / f"{n:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.repeat(255 * pixels, 2, axis=0)).save(path)
            drawing = "\n".join("".join(" @"[x] for x in line) for line in pixels)
            expected.setdefault(split, []).append(f"{'xyz'[n % 3]}\n{drawing}")
    paths = {f"{split}_path": str(folder / split) for split in SPLITS}
    fields: dict[str, Any] = {"name": "folder", "cache_dir": str(folder / "cache"), **paths}
    data = {**fields, "inputs": ImageConfig(), "targets": LabelConfig(), **data}
    return experiment(ClassificationConfig(), **data), expected


KINDS = {"classes": classes, "tags": tags, "values": values, "pairs": pairs, "images": images}
EACH_KIND = pytest.mark.parametrize("kind", KINDS)


@EACH_KIND
def test_batches_are_functions_of_the_step(kind: str, tmp_path: Path) -> None:
    config, expected = KINDS[kind](tmp_path, max_shapes=3)
    data = load(config)
    assert isinstance(data, Data)
    source, again = (data.batches(config) for _ in range(2))
    assert isinstance(source, BatchSource) and not source.carries_state
    assert len(source.shapes) == 1 if kind == "images" else 1 < len(source.shapes) <= 3
    orders, count = [], source.batches_per_epoch
    for epoch in range(2):
        assert source.position(1 + epoch * count) == (epoch, 0)
        found: list[str] = []
        for step in range(1 + epoch * count, 1 + (epoch + 1) * count):
            batch = source.batch(step)
            parts = [again.batch(step, rows) for rows in (slice(0, 1), slice(1, 4))]
            assert same(join(parts), batch)
            assert widths(batch) in source.shapes
            found += shown(data, batch)
        assert sorted(found) == sorted(expected["train"]), "every example once an epoch"
        orders.append(found)
    assert orders[0] != orders[1]
    config.training.seed = 1
    other = data.batches(config)
    steps = range(1, 1 + count)
    assert [shown(data, other.batch(s)) for s in steps] != [
        shown(data, source.batch(s)) for s in steps
    ]


def join(parts: list[Batch]) -> Batch:
    """The batch of these rows."""
    assert len({jax.tree.structure(part) for part in parts}) == 1, "all rows have one form"
    return jax.tree.map(lambda *x: np.concatenate(x), *parts)


def widths(batch: Batch) -> tuple[int, ...]:
    """B, and the lengths of the inputs, the targets and the source, as a source declares them."""
    found = [len(batch.inputs)]
    for segments in (batch.segment_ids, batch.target_segment_ids, batch.source_segment_ids):
        found += [] if segments is None else [segments.shape[1]]
    if batch.targets.ndim == 2 and batch.source is None:  # of tags, which are as long as the inputs
        found.append(batch.targets.shape[1])
    return tuple(found)


@EACH_KIND
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_an_evaluation_has_every_example_once(kind: str, tmp_path: Path, batch_size: int) -> None:
    config, expected = KINDS[kind](tmp_path)
    config.evaluation.batch_size = batch_size
    data = load(config)
    for split, multiple in (("test", 1), ("test", 4), ("train", 3)):
        rows = data.rows(split, config.evaluation, 0)
        assert isinstance(rows, Rows)
        batches = list(rows.batches(multiple))
        assert len(batches) == rows.num_batches and all(starts for _, starts in batches)
        assert {len(batch.inputs) % multiple for batch, _ in batches} == {0}
        found = [text for batch, _ in batches for text in shown(data, batch)]
        assert sorted(found) == sorted(expected[split])


@EACH_KIND
def test_what_a_run_keeps_makes_the_same_data(kind: str, tmp_path: Path) -> None:
    config, _ = KINDS[kind](tmp_path)
    data = load(config)
    with pytest.raises(UserError, match=f"--workdir={tmp_path} has no features.json: train first"):
        read_features(config, tmp_path)
    data.save_features(tmp_path / data.features_file)
    kept = read_features(config, tmp_path)
    assert list(kept) == list(data.features)
    for role, feature in data.features.items():
        assert kept[role].to_json() == feature.to_json()
        assert kept[role].summary() == feature.summary()
    again = load(config, kept)
    assert (again.fingerprint, again.spec) == (data.fingerprint, data.spec)
    assert same(again.batches(config).batch(3), data.batches(config).batch(3))
    other, _ = (pairs if kind != "pairs" else classes)(tmp_path / "other")
    for content, settings in (("{}", config), ('{"inputs": 1}', config), (None, other)):
        if content is not None:
            (tmp_path / "features.json").write_text(content)
        else:
            data.save_features(tmp_path / "features.json")
        line = mistake(lambda settings=settings: read_features(settings, tmp_path))
        assert line == f"{tmp_path}/features.json: does not hold the features of this run"
    (tmp_path / "features.json").write_text("[")
    assert "is not a file of features" in mistake(lambda: read_features(config, tmp_path))


SPECS = {
    "classes": DataSpec(TokenInput(6), ClassOutput(3, per_step=False)),
    "tags": DataSpec(TokenInput(6), ClassOutput(4, per_step=True)),
    "values": DataSpec(ValueInput(1), ClassOutput(3, per_step=False)),
    "pairs": DataSpec(TokenInput(8), VocabOutput(8), source=TokenInput(8)),
    "images": DataSpec(ImageInput(8, 4, 3), ClassOutput(3, per_step=False)),
}
LENGTHS = [n % 7 + 1 for n in SPLITS["validation"]]
SIZES: dict[str, dict[str, int]] = {
    "classes": {"examples": 5, "tokens": sum(LENGTHS)},
    "tags": {"examples": 5, "tokens": sum(LENGTHS), "labels": sum(LENGTHS)},
    "values": {"examples": 5, "steps": sum(LENGTHS)},
    # Of the targets <eos> counts: it is to be predicted.
    "pairs": {"examples": 5, "source_tokens": 1 + 3 + 5 + 7 + 9, "target_tokens": sum(range(3, 8))},
    "images": {"examples": 5},
}


@EACH_KIND
def test_what_the_data_decide_and_are(kind: str, tmp_path: Path) -> None:
    config, expected = KINDS[kind](tmp_path)
    data = load(config)
    assert data.spec == SPECS[kind] and data.notes == []
    summary = prepare(config, build_task(config))
    assert summary["splits"]["validation"] == SIZES[kind]
    assert list(summary["splits"]) == list(SPLITS)
    assert summary["fingerprint"] == data.fingerprint and summary["encoding"] == data.summary()
    assert summary["dataset"] == config.data.name and summary["notes"] == []
    line = mistake(lambda: data.batches(config, "dev"))
    assert line == "--split=dev: the data have no such split; one of: train, validation, test"
    config.data.batch_size = len(expected["test"]) + 1
    line = mistake(lambda: data.batches(config, "test"))
    assert line == "data.batch_size=8: the test split has 7 examples; at most 7"
    config.data.batch_size, config.training.steps_per_call = 1, 4
    if kind == "images":
        assert len(data.batches(config).shapes) == 1
    else:
        line = mistake(lambda: data.batches(config))
        assert line.startswith("training.steps_per_call=4: with data.max_shapes=8 a call takes one")


@EACH_KIND
def test_what_is_trained_on_is_in_the_fingerprint(kind: str, tmp_path: Path) -> None:
    """Both what a model reads and what it is to put out, of every split."""
    config, _ = KINDS[kind](tmp_path)
    prints = [load(config).fingerprint, load(config).fingerprint]
    assert prints[0] == prints[1]
    if kind == "images":
        changes = [lambda: (tmp_path / "test/x/06.png").rename(tmp_path / "test/y/06.png")]
    else:
        old, new = {
            "classes": (('"x"', '"y"'), ('"d"', '"c"')),
            "tags": (('["D"]', '["C"]'), ('"d"', '"c"')),
            "values": (('"label": 2', '"label": 1'), ("[8]", "[9]")),
            "pairs": (('"xxxy"', '"xxyy"'), ('"ababc"', '"babac"')),
        }[kind]
        path = tmp_path / "test.jsonl"
        text = path.read_text()
        changes = [lambda one=one: path.write_text(text.replace(*one, 1)) for one in (old, new)]
        assert all(one[0] in text for one in (old, new))
    for change in changes:
        change()
        prints.append(load(config).fingerprint)
    assert len(set(prints)) == len(prints) - 1


class Transcription(Task):
    """Reads a series and writes a text: its targets have a length of their own."""

    def make_spec(self, features: Any) -> DataSpec:
        size = features["targets"].input.vocab_size
        return DataSpec(features["inputs"].input, VocabOutput(size))


def test_targets_may_have_a_length_of_their_own(tmp_path: Path) -> None:
    """A batch and its rows have one form, though some rows are as long on both sides."""
    rows = [
        {"values": [3, 1, n, 7][: n % 4 + 1], "text": "ab" * (n // 4 % 2 + 1)} for n in range(1, 25)
    ]
    fields = tables(tmp_path, train=rows, validation=rows[:3])
    config = experiment(
        TaggingConfig(), 8, inputs=ValuesConfig(), targets=TokensConfig(), max_shapes=1, **fields
    )
    data = ExampleData.load(config, Transcription(config.task))
    source, found, alike = data.batches(config), [], 0
    assert source.shapes == ((8, 4, 4),)
    for step in range(1, 4):
        batch = source.batch(step)
        np.testing.assert_array_equal(batch.loss_weights, batch.target_segment_ids > 0)
        parts = [source.batch(step, slice(row, row + 1)) for row in range(8)]
        assert same(join(parts), batch)
        alike += (batch.segment_ids == batch.target_segment_ids).all(axis=1).sum()
        found += shown(data, batch)
    assert alike == 6
    assert sorted(found) == sorted(
        f"{row['text']}\n{' '.join(map(str, row['values']))}" for row in rows
    )
