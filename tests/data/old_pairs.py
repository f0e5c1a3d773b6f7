"""Pairs: dates, parallel text, tokens of both sides, and batches as functions of the step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from seqmodels.data.pair_tokenizer import read_pair_tokenizer

from seqmodels.config.data import PairsDataConfig, TokenizerKind
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.tasks import TranslationConfig
from seqmodels.config.transformers import TransformerConfig
from seqmodels.data.pipeline import load_data, make_task, prepare
from seqmodels.data.sources import BatchSource
from seqmodels.types import Batch, TokenInput, VocabOutput

PAIRS = [(f"{'ab' * n}c", "x" * (n % 5 + 1) + "y") for n in range(1, 24)]


def experiment(batch_size: int = 4, seed: int = 0, **data: Any) -> ExperimentConfig:
    pairs = PairsDataConfig(batch_size=batch_size, **data)
    config = ExperimentConfig(TransformerConfig(), pairs, TranslationConfig())
    config.training.seed = seed
    return config


@pytest.fixture
def written(tmp_path: Path) -> dict[str, Any]:
    """Two files of 23 lines, of which the last 4 and the 2 before are held out."""
    for name, side in (("source", 0), ("target", 1)):
        text = "".join(pair[side] + "\n" for pair in PAIRS)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return {
        "name": "parallel_text",
        "source_path": str(tmp_path / "source"),
        "target_path": str(tmp_path / "target"),
        "cache_dir": str(tmp_path / "cache"),
        "validation_fraction": 0.1,
        "test_fraction": 0.2,
    }


def texts(config: ExperimentConfig, batch: Batch, encoding: Any) -> list[tuple[str, str]]:
    task = make_task(config)
    shown = [task.show(batch, row, encoding) for row in range(len(batch.inputs))]
    return [tuple(line.split(" -> ")) for line in shown if line != "(padding)"]  # type: ignore


def test_rows_hold_a_pair(written: dict[str, Any]) -> None:
    config = experiment(max_shapes=1, batch_size=17, **written)
    data = load_data(config)
    encoding = data.encoding
    batch = data.batches(config).batch(1)
    size = encoding.target.vocab_size  # a, b, c, x, y and <unk>
    assert size == 6
    assert data.spec.source == data.spec.inputs == TokenInput(size + 2)
    assert data.spec.outputs == VocabOutput(size + 2)
    row = int(np.flatnonzero((batch.source_segment_ids > 0).sum(axis=1) == 3)[0])
    x, y = encoding.target.encode("xy")
    assert batch.inputs[row].tolist() == [size, x, x, y, 0, 0, 0]
    assert batch.targets[row].tolist() == [x, x, y, size + 1, 0, 0, 0]
    assert batch.segment_ids[row].tolist() == batch.loss_weights[row].tolist() == [1] * 4 + [0] * 3
    assert batch.source[row, :3].tolist() == encoding.source.encode("abc").tolist()
    assert encoding.decode_target(batch.targets[row]) == "xxy"
    assert sorted(texts(config, batch, encoding)) == sorted(PAIRS[:17])


def test_batches_are_functions_of_the_step(written: dict[str, Any]) -> None:
    config = experiment(max_shapes=3, **written)
    data = load_data(config)
    source, again = (data.batches(config) for _ in range(2))
    assert isinstance(source, BatchSource)
    assert 1 < len(source.shapes) <= 3
    count = source.batches_per_epoch
    orders = []
    for epoch in range(2):
        found: list[tuple[str, str]] = []
        for step in range(1 + epoch * count, 1 + (epoch + 1) * count):
            batch = source.batch(step)
            assert (*batch.inputs.shape, batch.source.shape[1]) in source.shapes
            parts = [again.batch(step, rows) for rows in (slice(0, 1), slice(1, 4))]
            joined = jax.tree.map(lambda *x: np.concatenate(x), *parts)
            assert jax.tree.all(jax.tree.map(np.array_equal, joined, batch))
            found += texts(config, batch, data.encoding)
        assert sorted(found) == sorted(PAIRS[:17]), "every pair once an epoch"
        orders.append(found)
    assert orders[0] != orders[1]
    other = load_data(experiment(max_shapes=3, seed=1, **written))
    assert texts(config, other.batches(experiment(seed=1, max_shapes=3)).batch(1), data.encoding)


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_an_evaluation_has_every_pair_once(written: dict[str, Any], batch_size: int) -> None:
    config = experiment(**written)
    data: Any = load_data(config)
    for multiple in (1, 4):
        rows = data.rows("test", batch_size)
        batches = [batch for batch, _ in rows.batches(multiple)]
        assert len(batches) == rows.num_batches
        assert {len(batch.inputs) % multiple for batch in batches} == {0}
        found = [pair for batch in batches for pair in texts(config, batch, data.encoding)]
        assert sorted(found) == sorted(PAIRS[19:])


def test_a_vocabulary_a_side(written: dict[str, Any], tmp_path: Path) -> None:
    config = experiment(shared_vocabulary=False, **written)
    data = load_data(config)
    assert data.spec.source == TokenInput(4) and data.spec.inputs == TokenInput(5)
    assert data.fingerprint != load_data(experiment(**written)).fingerprint
    for encoding in (data.encoding, load_data(experiment(**written)).encoding):
        encoding.save(tmp_path / "tokenizer.json")
        again = read_pair_tokenizer(tmp_path / "tokenizer.json")
        assert again.to_json() == encoding.to_json()
        assert again.target_input == encoding.target_input
        assert again.source_input == encoding.source_input
    assert load_data(config, data.encoding).fingerprint == data.fingerprint
    (tmp_path / "tokenizer.json").write_text('{"kind": "byte"}')
    with pytest.raises(UserError, match="not a tokenizer of pairs"):
        read_pair_tokenizer(tmp_path / "tokenizer.json")


def test_bytes_and_summary(written: dict[str, Any]) -> None:
    config = experiment(tokenizer=TokenizerKind.BYTE, **written)
    summary = prepare(config)
    assert summary["vocab_size"] == 258 and summary["notes"] == []
    assert summary["splits"]["validation"] == {
        "pairs": 2,
        "source_tokens": 37 + 39,
        "target_tokens": 2 * 2 + 4 + 5,
    }


def test_files_by_split(written: dict[str, Any], tmp_path: Path) -> None:
    both: dict[str, Any] = {
        f"{split}_{side}_path": str(tmp_path / side)
        for split in ("train", "validation")
        for side in ("source", "target")
    }
    config = experiment(name="parallel_text", cache_dir=written["cache_dir"], **both)
    data = load_data(config)
    assert {name: len(split.kept) for name, split in data.splits.items()} == {
        "train": 23,
        "validation": 23,
    }


def table(folder: Path, name: str, rows: Any) -> str:
    """Columns in another order than they are read in, and one more."""
    lines = ["id\ten\tde", *(f"{i}\t{target}\t{source}" for i, (source, target) in enumerate(rows))]
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder / name)


COLUMNS: dict[str, Any] = {"name": "pairs_file", "source_column": "de", "target_column": "en"}


def test_tables_with_named_columns(tmp_path: Path) -> None:
    files: dict[str, Any] = {
        "train_path": table(tmp_path, "train.tsv", PAIRS),
        "validation_path": table(tmp_path, "validation.tsv", PAIRS[:5]),
    }
    fields: dict[str, Any] = {**COLUMNS, **files, "cache_dir": str(tmp_path / "cache")}
    config = experiment(batch_size=23, max_shapes=1, **fields)
    data = load_data(config)
    assert list(data.splits) == ["train", "validation"]
    assert sorted(texts(config, data.batches(config).batch(1), data.encoding)) == sorted(PAIRS)
    with pytest.raises(UserError, match=r"=5: .*validation.tsv, line 4 has 7 tokens"):
        load_data(experiment(max_source_length=5, **fields))
    turned: dict[str, Any] = {**fields, "source_column": "en", "target_column": "de"}
    config = experiment(batch_size=23, max_shapes=1, **turned)
    found = texts(config, load_data(config).batches(config).batch(1), data.encoding)
    assert sorted(found) == sorted((target, source) for source, target in PAIRS)


def test_windows_line_ends_are_no_text(written: dict[str, Any], tmp_path: Path) -> None:
    before = load_data(experiment(**written)).encoding.to_json()
    for side in ("source", "target"):
        path = tmp_path / side
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_data(experiment(**written)).encoding.to_json() == before


def test_long_pairs_are_left_out_or_refused(written: dict[str, Any], tmp_path: Path) -> None:
    for _ in range(2):  # the second time the token store spares reading the files
        with pytest.raises(UserError, match=r"max_source_length=40: .*source, line 20 has 41 tok"):
            load_data(experiment(max_source_length=40, **written))
    with pytest.raises(UserError, match=r"=6: the target of .*source, line 19 has 7 .* has 7"):
        load_data(experiment(max_target_length=6, **written))
    for side in ("source", "target"):
        lines = (tmp_path / side).read_text().splitlines()
        (tmp_path / side).write_text("\n".join(lines[::-1]) + "\n")
    data = load_data(experiment(max_source_length=30, **written))
    assert len(data.splits["train"].kept) == 8
    assert data.notes == [
        "9 of 17 pairs of the train split are longer than data.max_source_length or "
        "data.max_target_length and left out"
    ]
    config = experiment(batch_size=8, max_source_length=30, max_shapes=1, **written)
    found = texts(config, load_data(config).batches(config).batch(1), data.encoding)
    assert sorted(found) == sorted(PAIRS[6:14])


ENGLISH, GERMAN = ["a", "runs", "cat", "dog"], ["rennt", "Hund", "Katze", "ein", "eine"]
BOTH = ["a", "rennt", "runs", "Hund", "Katze", "cat", "dog", "ein", "eine"]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("kind", [TokenizerKind.WORD, TokenizerKind.BPE])
def test_words_and_byte_pairs(
    written: dict[str, Any], tmp_path: Path, kind: TokenizerKind, shared: bool
) -> None:
    """Of both sides of the training split together, or of one a side."""
    pairs = [("a dog runs", "ein Hund rennt"), ("a cat runs", "eine Katze rennt")] * 12
    for name, side in (("source", 0), ("target", 1)):
        lines = [pair[side] for pair in [*pairs, ("an owl", "eine Eule")]]
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    words = kind is TokenizerKind.WORD
    fields = {**written, "validation_fraction": 0.05, "test_fraction": 0.0, "tokenizer": kind}
    size = None if words else 262
    config = experiment(vocab_size=size, shared_vocabulary=shared, **fields)
    data = load_data(config)
    encoding = data.encoding
    if words:
        made = [side.to_json()["words"] for side in (encoding.source, encoding.target)]
        assert made == ([BOTH, BOTH] if shared else [ENGLISH, GERMAN])
        assert "2 of 2 words (100.000%) of the validation.source split" in data.notes[0]
        assert "1 of 2 words (50.000%) of the validation.target split" in data.notes[1]
    else:
        assert encoding.source.vocab_size == encoding.target.vocab_size == 262
        assert (encoding.source.to_json() == encoding.target.to_json()) is shared
        assert not data.notes
    assert encoding.eos_id == encoding.target.vocab_size + 1
    source = data.batches(config)
    shown = [texts(config, source.batch(step), encoding) for step in range(1, 9)]
    assert {pair for batch in shown for pair in batch} == set(pairs)
