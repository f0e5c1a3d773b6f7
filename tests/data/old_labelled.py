"""Texts with classes: files, published sets, and their batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from seqmodels.config.labelled import LabelledTextDataConfig
from seqmodels.data.labelled import LabelledData
from seqmodels.data.text_labels import TextLabels, read_text_labels

from seqmodels.config.data import TokenizerKind
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.recurrent import RecurrentEncoderConfig
from seqmodels.config.tasks import ClassificationConfig
from seqmodels.data.pipeline import load_data, make_task, prepare
from seqmodels.data.sources import BatchSource
from seqmodels.data.words import WordTokenizer
from seqmodels.types import ClassOutput, TokenInput

WORDS = ("a", "b", "c", "d")
TEXTS = [(" ".join(WORDS[i % 4] for i in range(n % 7 + 1)), "xyz"[n % 3]) for n in range(40)]


def experiment(batch_size: int = 4, seed: int = 0, **data: Any) -> ExperimentConfig:
    texts = LabelledTextDataConfig(batch_size=batch_size, **data)
    config = ExperimentConfig(RecurrentEncoderConfig(), texts, ClassificationConfig())
    config.training.seed = seed
    return config


def write(folder: Path, name: str = "train.tsv", rows: Any = TEXTS) -> Path:
    folder.mkdir(exist_ok=True)
    lines = ["number\tlabel\ttext", *(f"{i}\t{c}\t{t}" for i, (t, c) in enumerate(rows))]
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / name


def written(folder: Path) -> dict[str, Any]:
    """Settings of a file a split: 40 rows, 5 and 7."""
    return {
        "name": "labelled_file",
        "train_path": str(write(folder)),
        "validation_path": str(write(folder, "validation.tsv", TEXTS[:5])),
        "test_path": str(write(folder, "test.tsv", TEXTS[5:12])),
        "cache_dir": str(folder / "cache"),
    }


def load(**data: Any) -> LabelledData:
    found = load_data(experiment(**data))
    assert isinstance(found, LabelledData)
    return found


def mistake(**data: Any) -> str:
    with pytest.raises(UserError) as raised:
        load(**data)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def shown(config: ExperimentConfig, batch: Any, encoding: Any) -> list[tuple[str, str]]:
    rows = [make_task(config).show(batch, row, encoding) for row in range(len(batch.inputs))]
    return [tuple(row.split("\n")[::-1]) for row in rows if row != "(padding)"]  # type: ignore


def test_rows_hold_a_text_and_its_class(tmp_path: Path) -> None:
    config = experiment(batch_size=40, max_shapes=1, **written(tmp_path))
    data = load_data(config)
    assert data.spec.inputs == TokenInput(6) and data.spec.outputs == ClassOutput(3, per_step=False)
    batch = data.batches(config).batch(1)
    assert batch.inputs.shape == (40, 7)
    row = int(np.flatnonzero((batch.segment_ids > 0).sum(axis=1) == 3)[0])
    a, b, c = data.encoding.tokenizer.encode("a b c")
    assert batch.inputs[row].tolist() == [a, b, c, 0, 0, 0, 0]
    assert batch.segment_ids[row].tolist() == [1, 1, 1, 0, 0, 0, 0]
    assert sorted(shown(config, batch, data.encoding)) == sorted(TEXTS)


def test_a_row_may_begin_with_a_class_token(tmp_path: Path) -> None:
    config = experiment(batch_size=40, max_shapes=1, class_token=True, **written(tmp_path))
    data = load_data(config)
    batch = data.batches(config).batch(1)
    assert data.spec.inputs == TokenInput(7) and batch.inputs.shape == (40, 8)
    assert (batch.inputs[:, 0] == 6).all() and (batch.segment_ids[:, 0] == 1).all()
    expected = sorted((f"[CLS] {text}", label) for text, label in TEXTS)
    assert sorted(shown(config, batch, data.encoding)) == expected
    data.encoding.save(tmp_path / "tokenizer.json")
    assert read_text_labels(tmp_path / "tokenizer.json") != data.encoding  # tokenizers are objects
    again = read_text_labels(tmp_path / "tokenizer.json").to_json()
    assert again == data.encoding.to_json()
    (tmp_path / "tokenizer.json").write_text('{"kind": "byte"}')
    with pytest.raises(UserError, match="not a tokenizer with classes"):
        read_text_labels(tmp_path / "tokenizer.json")


def test_batches_are_functions_of_the_step(tmp_path: Path) -> None:
    config = experiment(max_shapes=3, **written(tmp_path))
    data = load_data(config)
    source, again = (data.batches(config) for _ in range(2))
    assert isinstance(source, BatchSource) and 1 < len(source.shapes) <= 3
    orders, count = [], source.batches_per_epoch
    for epoch in range(2):
        found: list[tuple[str, str]] = []
        for step in range(1 + epoch * count, 1 + (epoch + 1) * count):
            batch = source.batch(step)
            assert batch.inputs.shape in source.shapes
            parts = [again.batch(step, rows) for rows in (slice(0, 1), slice(1, 4))]
            joined = jax.tree.map(lambda *x: np.concatenate(x), *parts)
            assert jax.tree.all(jax.tree.map(np.array_equal, joined, batch))
            found += shown(config, batch, data.encoding)
        assert sorted(found) == sorted(TEXTS), "every text once an epoch"
        orders.append(found)
    assert orders[0] != orders[1]


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_an_evaluation_has_every_text_once(tmp_path: Path, batch_size: int) -> None:
    config = experiment(**written(tmp_path))
    data: Any = load_data(config)
    for multiple in (1, 4):
        rows = data.rows("test", batch_size)
        batches = [batch for batch, _ in rows.batches(multiple)]
        assert len(batches) == rows.num_batches
        assert {len(batch.inputs) % multiple for batch in batches} == {0}
        found = [text for batch in batches for text in shown(config, batch, data.encoding)]
        assert sorted(found) == sorted(TEXTS[5:12])


def of(split: Any) -> list[np.ndarray]:
    offsets = split.texts.offsets
    return [split.texts.tokens[offsets[i] : offsets[i + 1]] for i in split.kept]


def test_only_the_training_split_makes_the_vocabulary(tmp_path: Path) -> None:
    settings = written(tmp_path)
    write(tmp_path, "validation.tsv", [("a new word", "x"), ("b", "y"), ("c", "z")])
    data = load(**settings)
    assert sorted(data.encoding.tokenizer.to_json()["words"]) == sorted(WORDS)
    assert "2 of 5 words" in data.notes[0] and "validation split" in data.notes[0]


def test_bytes_characters_and_byte_pairs(tmp_path: Path) -> None:
    settings = written(tmp_path)
    for kind, size in ((TokenizerKind.BYTE, 256), (TokenizerKind.CHARACTER, 6)):
        summary = prepare(experiment(tokenizer=kind, **settings))
        assert summary["vocab_size"] == size and summary["num_classes"] == 3
        assert summary["splits"]["validation"] == {"examples": 5, "tokens": 1 + 3 + 5 + 7 + 9}
    data = load(tokenizer=TokenizerKind.BPE, vocab_size=258, **settings)
    assert data.encoding.tokenizer.vocab_size == 258
    assert [data.encoding.tokenizer.decode(t) for t in of(data.splits["train"])][:8] == [
        text for text, _ in TEXTS[:8]
    ]


def test_the_tokenizer_of_a_run(tmp_path: Path) -> None:
    """Over text or over texts with classes; what it lacks is <unk>."""
    settings = written(tmp_path)
    runs = [tmp_path / "text", tmp_path / "classes"]
    for run in runs:
        run.mkdir()
    words = WordTokenizer(["c", "other", "a"])
    words.save(runs[0] / "tokenizer.json")
    TextLabels(words, ("no", "yes"), class_token=True).save(runs[1] / "tokenizer.json")
    for run in runs:
        fields = {**settings, "tokenizer": TokenizerKind.RUN, "tokenizer_path": str(run)}
        data = load(class_token=True, **fields)
        assert data.encoding.tokenizer.to_json() == words.to_json()
        assert data.encoding.names == ("x", "y", "z") and data.spec.inputs == TokenInput(6)
        assert of(data.splits["train"])[3].tolist() == [4, 0, 2, 0]  # a b c d
        assert "train split are not in the vocabulary of the tokenizer of the run" in data.notes[0]
    (runs[1] / "tokenizer.json").write_text('{"kind": "pair"}')
    line = mistake(**fields)
    assert "classes" in line and "not a tokenizer file" in line
    line = mistake(**{**fields, "tokenizer_path": str(tmp_path / "none")})
    assert "data.tokenizer_path=" in line and "has no tokenizer.json" in line


def test_classes_are_ordered_as_numbers(tmp_path: Path) -> None:
    settings = written(tmp_path)
    for name, rows in (("train.tsv", 11), ("validation.tsv", 11), ("test.tsv", 11)):
        write(tmp_path, name, [("a", str(i)) for i in range(rows)])
    assert load(**settings).encoding.names == tuple(map(str, range(11)))


def test_long_texts_are_left_out_refused_or_cut(tmp_path: Path) -> None:
    settings = written(tmp_path)
    write(tmp_path, "validation.tsv", [("a b", "x"), ("a b c d", "y"), ("a", "z")])
    for _ in range(2):  # the second time the token store spares reading the files
        line = mistake(max_length=3, **settings)
        assert line.startswith("data.max_length=3: ")
        assert "validation.tsv, line 3 has 4 tokens, the longest of the validation split 4" in line
    data = load(max_length=3, cut_long=True, class_token=True, **settings)
    assert data.splits["validation"].lengths.tolist() == [2, 2, 1]
    assert "1 of 3 texts of the validation split are cut to data.max_length=3" in " ".join(
        data.notes
    )
    for name in ("validation.tsv", "test.tsv"):
        write(tmp_path, name, [("a", "x"), ("b", "y"), ("c", "z")])
    data = load(max_length=3, **settings)
    assert len(data.splits["train"].kept) == 18
    assert "22 of 40 texts of the train split are longer" in " ".join(data.notes)
    write(tmp_path, "train.tsv", [*TEXTS, ("a b c d", "long")])
    assert "max_length=3: all examples of class 'long'" in mistake(max_length=3, **settings)
    assert load(max_length=3, cut_long=True, **settings).encoding.names == ("long", "x", "y", "z")


def test_classes_are_the_training_split_s(tmp_path: Path) -> None:
    settings = written(tmp_path)
    before = load(**settings)
    write(tmp_path, "validation.tsv", [("a", "x"), ("b", "zz")])
    line = mistake(**settings)
    assert "validation.tsv, line 3: class 'zz' is not known; did you mean 'z'?" in line
    write(tmp_path, "validation.tsv", [("a", "x")])
    data = load(**settings)
    assert "class 'y' has no example in the validation split" in data.notes
    write(tmp_path, "train.tsv", [("a", "x"), ("b", "x")])
    write(tmp_path, "test.tsv", [("a", "x"), ("b", "x")])
    assert "all examples of the train split are of the class 'x'" in mistake(**settings)
    # The classes of a run are kept, whatever other data have.
    other = load_data(experiment(**settings), before.encoding)
    assert other.encoding.names == ("x", "y", "z")


def test_another_class_of_a_text_is_other_data(tmp_path: Path) -> None:
    settings = written(tmp_path)
    before = load(**settings).fingerprint
    assert load(**settings).fingerprint == before
    write(tmp_path, "train.tsv", [(TEXTS[0][0], "y"), *TEXTS[1:]])
    assert load(**settings).fingerprint != before


def test_damaged_classes_are_read_again(tmp_path: Path) -> None:
    settings = written(tmp_path)
    before = load(**settings).fingerprint
    (path,) = tmp_path.glob("cache/labels/*.json")
    for damage in (b"", path.read_bytes().replace(b'"y"', b'"x"', 1)):
        path.write_bytes(damage)
        assert load(**settings).fingerprint == before
