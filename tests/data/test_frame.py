"""From the columns of a table to batches: features are fitted on the training split alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqmodels.config.data import ExamplesDataConfig
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import (
    LabelConfig,
    TagsConfig,
    TextForm,
    TokenizerKind,
    TokensConfig,
    ValuesConfig,
)
from seqmodels.config.recurrent import RecurrentEncoderConfig
from seqmodels.config.tasks import (
    ClassificationConfig,
    TaggingConfig,
    TaskConfig,
    TranslationConfig,
)
from seqmodels.data.features.tokens import BOS, EOS
from seqmodels.data.pipeline import read_features
from seqmodels.types import Batch
from tests.opening import load
from tests.tolerances import TOLERANCE

SPLITS = ("train", "validation", "test")
Table = list[dict[str, Any]]

SERIES: dict[str, Table] = {
    "train": [
        {"values": [[1, 10], [3, 10]], "label": "up"},
        {"values": [[2, 10], [6, 10], [4, 10]], "label": "down"},
        {"values": [[8, 10]], "label": "up"},
    ],
    "validation": [{"values": [[100, -7], [200, 9]], "label": "down"}],
    "test": [{"values": [[-50, 3]], "label": "up"}],
}
TAGGED: dict[str, Table] = {
    "train": [
        {"text": "a dog runs", "tags": "det noun verb"},
        {"text": "dogs run", "tags": "noun verb"},
        {"text": "a", "tags": "det"},
    ],
    "validation": [{"text": "a dog", "tags": "det noun"}],
    "test": [{"text": "runs a dogs", "tags": "verb det noun"}],
}


PAIRS: dict[str, Table] = {
    "train": [
        {"de": "ein hund", "en": "a dog"},
        {"de": "hund", "en": "dog"},
        {"de": "ein a", "en": "an a"},
    ],
    "validation": [{"de": "dog", "en": "an"}],
    "test": [{"de": "a", "en": "hund"}],
}


def make(folder: Path, rows: dict[str, Table], **fields: Any) -> ExperimentConfig:
    """An experiment over a table a split, in batches of all its rows."""
    folder.mkdir(exist_ok=True)
    paths: dict[str, Any] = {"cache_dir": str(folder / "cache")}
    for split in SPLITS:
        lines = "".join(json.dumps(row) + "\n" for row in rows[split])
        (folder / f"{split}.jsonl").write_text(lines, encoding="utf-8")
        paths[f"{split}_path"] = str(folder / f"{split}.jsonl")
    task: TaskConfig = TaggingConfig()
    if "label" in rows["train"][0]:
        task = ClassificationConfig()
    elif "de" in rows["train"][0]:
        task = TranslationConfig()
    size = len(rows["train"])
    data = ExamplesDataConfig("table", size, **{"max_shapes": 1, **paths, **fields})
    return ExperimentConfig(RecurrentEncoderConfig(), data, task)


def series(folder: Path, rows: dict[str, Table] = SERIES, **fields: Any) -> ExperimentConfig:
    return make(folder, rows, inputs=ValuesConfig(**fields), targets=LabelConfig())


def tagged(folder: Path, rows: dict[str, Table] = TAGGED) -> ExperimentConfig:
    words = TokensConfig(tokenizer=TokenizerKind.WORD)
    return make(folder, rows, inputs=words, targets=TagsConfig())


def labelled(folder: Path, texts: list[tuple[str, str]], **fields: Any) -> ExperimentConfig:
    rows = [{"text": text, "label": label} for text, label in texts]
    held_out = [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}]
    splits = {"train": rows, "validation": held_out, "test": held_out}
    words = TokensConfig(tokenizer=TokenizerKind.WORD, **fields)
    return make(folder, splits, inputs=words, targets=LabelConfig())


def pairs(folder: Path, source: TokenizerKind, **fields: Any) -> ExperimentConfig:
    sides = {
        "source": TokensConfig(column="de", tokenizer=source),
        "targets": TokensConfig(column="en", tokenizer=TokenizerKind.WORD, **fields),
    }
    return make(folder, PAIRS, **sides)


def rows_of(data: Any, config: ExperimentConfig, split: str, size: int = 8) -> list[Batch]:
    config.evaluation.batch_size = size
    return [batch for batch, _ in data.rows(split, config.evaluation, 0).batches(1)]


def test_values_are_scaled_by_the_steps_of_the_training_split(tmp_path: Path) -> None:
    """Channel by channel; a channel that does not vary there is only moved."""
    config = series(tmp_path)
    data = load(config)
    steps = np.array([1, 3, 2, 6, 4, 8], float)
    for split in SPLITS:
        (batch,) = rows_of(data, config, split)
        for row, given in enumerate(SERIES[split]):
            expected = np.array(given["values"], float)
            expected = (expected - [steps.mean(), 10]) / [steps.std(), 1]
            length = len(expected)
            np.testing.assert_allclose(
                batch.inputs[row, :length], expected, **TOLERANCE["rounding"]
            )
            assert not batch.inputs[row, length:].any()
            assert batch.segment_ids[row].sum() == length
    # What a model puts out may be told in the units of the data.
    shown = data.features["inputs"].decode(rows_of(data, config, "test")[0].inputs[0, :1])
    np.testing.assert_allclose(shown, [[-50, 3]], **TOLERANCE["rounding"])


def test_a_run_keeps_its_scaler_whatever_other_data_have(tmp_path: Path) -> None:
    config = series(tmp_path / "first")
    data = load(config)
    data.save_features(tmp_path / "first" / data.features_file)
    kept = read_features(config, tmp_path / "first")
    louder = {
        split: [{**row, "values": (10 * np.array(row["values"])).tolist()} for row in rows]
        for split, rows in SERIES.items()
    }
    other = series(tmp_path / "second", louder)
    found = load(other, kept)
    (before,), (after,) = rows_of(data, config, "train"), rows_of(found, other, "train")
    mean, deviation = 4.0, np.std([1, 3, 2, 6, 4, 8])
    expected = (10 * (before.inputs[0, :, 0] * deviation + mean) - mean) / deviation
    real = before.segment_ids[0] > 0
    np.testing.assert_allclose(after.inputs[0, real, 0], expected[real], **TOLERANCE["rounding"])
    assert found.fingerprint != data.fingerprint == load(config).fingerprint


def test_each_step_has_its_own_label(tmp_path: Path) -> None:
    config = tagged(tmp_path)
    data = load(config)
    assert data.features["targets"].names() == ("det", "noun", "verb")
    for split in SPLITS:
        (batch,) = rows_of(data, config, split)
        np.testing.assert_array_equal(batch.loss_weights, batch.segment_ids)
        assert batch.target_segment_ids is None
        found = [data.task.show(batch, row, data.features) for row in range(len(TAGGED[split]))]
        assert found == [f"{row['tags']}\n{row['text']}" for row in TAGGED[split]]


@pytest.mark.parametrize("tags", ["det noun", "det noun verb noun"], ids=["fewer", "more"])
def test_texts_and_labels_of_other_lengths_are_refused(tmp_path: Path, tags: str) -> None:
    rows = {**TAGGED, "test": [*TAGGED["test"], {"text": "a dog runs", "tags": tags}]}
    with pytest.raises(UserError) as raised:
        load(tagged(tmp_path, rows))
    where = f"{tmp_path / 'test.jsonl'}, line 2"
    count = len(tags.split())
    assert str(raised.value) == f"{where}: 3 steps of the inputs, but {count} of the targets"


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_every_row_of_an_evaluation_counts_once(tmp_path: Path, size: int) -> None:
    """The first, whose number is 0, is no padding, and the last batch may have fewer rows."""
    texts = [("a", "x"), ("b a", "y"), ("b b", "x"), ("a b a", "y"), ("b", "x")]
    config = labelled(tmp_path, texts)
    data = load(config)
    for multiple in (1, 4):
        found = []
        config.evaluation.batch_size = size
        rows = data.rows("train", config.evaluation, 0)
        for batch, starts in rows.batches(multiple):
            assert starts and len(batch.inputs) % multiple == 0
            shown = [data.task.show(batch, row, data.features) for row in range(len(batch.inputs))]
            real = [text for text in shown if text != "(padding)"]
            assert batch.loss_weights.sum() == len(real)
            found += [tuple(text.split("\n")[::-1]) for text in real]
        assert sorted(found) == sorted(texts)


def test_classes_are_those_of_the_training_split(tmp_path: Path) -> None:
    config = labelled(tmp_path, [("a", "10"), ("b", "9"), ("a b", "x"), ("b a", "y")])
    data = load(config)
    assert data.features["targets"].names() == ("9", "10", "x", "y")
    (batch,) = rows_of(data, config, "train")
    assert batch.targets.tolist() == [1, 0, 2, 3]
    with pytest.raises(UserError, match=r"validation.jsonl, line 2: class 'y' is not known"):
        load(labelled(tmp_path, [("a", "x"), ("b", "z")]))
    # The classes of a run are kept, even if other data lack some.
    again = load(labelled(tmp_path, [("a", "x"), ("b", "y")]), data.features)
    assert again.features["targets"].names() == ("9", "10", "x", "y")


def test_another_class_of_a_text_is_other_data(tmp_path: Path) -> None:
    prints = set()
    for labels in ("xyx", "xyy", "xyx"):
        texts = list(zip(("a", "b", "b a"), labels, strict=True))
        prints.add(load(labelled(tmp_path, texts)).fingerprint)
    assert len(prints) == 2


def test_a_class_whose_examples_are_all_left_out_is_refused(tmp_path: Path) -> None:
    texts = [("a", "x"), ("b", "y"), ("a b a b", "long")]
    with pytest.raises(UserError) as raised:
        load(labelled(tmp_path, texts, max_length=3))
    line = str(raised.value)
    assert "class 'long' has no example in the train split" in line
    assert line.endswith("its classes are x, y; the ones that it has are too long")
    data = load(labelled(tmp_path, [*texts, ("b", "long")], max_length=3))
    assert data.splits["train"].kept.tolist() == [0, 1, 3]
    assert "1 of 4 examples of the train split are longer than" in data.notes[0]


def test_the_form_of_a_text_is_a_part_of_its_key_in_the_store(tmp_path: Path) -> None:
    texts = [("A man's hat.", "x"), ("a hat", "y")]
    written = load(labelled(tmp_path, texts))
    words = load(labelled(tmp_path, texts, form=TextForm.LOWER_WORDS))
    assert words.where != written.where and words.fingerprint != written.fingerprint
    sizes = [data.splits["train"].columns["inputs"].lengths.tolist() for data in (written, words)]
    assert sizes == [[3, 2], [5, 2]]


@pytest.mark.parametrize("source", [TokenizerKind.WORD, TokenizerKind.SHARED])
def test_the_decoder_reads_what_precedes_its_targets(tmp_path: Path, source: TokenizerKind) -> None:
    """<bos> and the target go in, the target and <eos> come out, at the same steps."""
    config = pairs(tmp_path, source)
    data = load(config)
    de, en = (data.features[role] for role in ("source", "targets"))
    (batch,) = rows_of(data, config, "train")
    assert batch.targets.shape == batch.inputs.shape == (3, 3) and batch.source.shape == (3, 2)
    for row, given in enumerate(PAIRS["train"]):
        words = en.tokenizer.encode(given["en"]).tolist()
        real = len(words) + 1
        assert batch.inputs[row, :real].tolist() == [en.id_of(BOS), *words]
        assert batch.targets[row, :real].tolist() == [*words, en.id_of(EOS)]
        for values in (batch.inputs, batch.targets, batch.loss_weights, batch.segment_ids):
            assert not values[row, real:].any()
        assert batch.loss_weights[row].sum() == batch.segment_ids[row].sum() == real
        read = batch.source[row][batch.source_segment_ids[row] > 0]
        assert read.tolist() == de.tokenizer.encode(given["de"]).tolist()
        shown = data.task.show(batch, row, data.features)
        assert shown == f"{given['de']} -> {given['en']}"


def test_sides_share_a_vocabulary_where_they_are_asked_to(tmp_path: Path) -> None:
    """It has the words of both sides, of the training split alone."""
    one = load(pairs(tmp_path, TokenizerKind.SHARED)).features
    words = [set(one[role].tokenizer.to_json()["words"]) for role in ("source", "targets")]
    assert words == [{"ein", "hund", "a", "dog", "an"}] * 2
    two = load(pairs(tmp_path, TokenizerKind.WORD)).features
    words = [set(two[role].tokenizer.to_json()["words"]) for role in ("source", "targets")]
    assert words == [{"ein", "hund", "a"}, {"a", "dog", "an"}]
