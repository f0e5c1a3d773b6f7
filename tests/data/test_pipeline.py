"""load_data: from a config to tokens in the store, whatever happens to the store."""

from __future__ import annotations

import concurrent.futures
import errno
import logging
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest

from seqmodels.config.data import Batching
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import TokenizerKind
from seqmodels.config.validate import validate
from seqmodels.data import store
from seqmodels.data.datasets.text_file import TextFile
from seqmodels.data.pipeline import prepare
from seqmodels.data.text import as_features
from seqmodels.data.tokenizers import ByteTokenizer, CharacterTokenizer, UnknownSymbols
from seqmodels.tasks.build import build_task
from seqmodels.types import TokenInput, VocabOutput
from tests.data.helpers import CHINESE, experiment, load_fingerprint
from tests.opening import load


@pytest.fixture
def config(tmp_path: Path) -> ExperimentConfig:
    """Two files in train (Chinese and English), one in validation, and a cache of its own."""
    texts = {"train-1.txt": CHINESE * 3, "train-2.txt": "plain\r\ntext\n", "held.txt": "plain 雨\n"}
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text.encode())
    return experiment(
        name="text_file",
        train_path=str(tmp_path / "train-*.txt"),
        validation_path=str(tmp_path / "held.txt"),
        cache_dir=str(tmp_path / "cache"),
        sequence_length=7,
        batch_size=3,
    )


def entries(config: ExperimentConfig) -> list[Path]:
    return sorted(p for p in Path(config.data.cache_dir, "tokens").iterdir() if p.is_dir())


@pytest.mark.parametrize("kind", [TokenizerKind.BYTE, TokenizerKind.CHARACTER])
def test_tokens_are_the_text(config: ExperimentConfig, kind: TokenizerKind) -> None:
    config.data.tokenizer = kind
    data = load(config)
    documents = {"train": [CHINESE * 3, "plain\r\ntext\n"], "validation": ["plain 雨\n"]}
    assert list(data.splits) == list(documents)
    for name, texts in documents.items():
        split = data.splits[name]
        bounds = split.offsets
        assert bounds.dtype == np.int64 and split.num_documents == len(texts)
        decoded = [
            data.tokenizer.decode(split.tokens[bounds[i] : bounds[i + 1]])
            for i in range(split.num_documents)
        ]
        assert decoded == texts
        assert split.num_characters == sum(map(len, texts))
        assert isinstance(split.tokens, np.memmap) and split.tokens.dtype == np.uint8
    size = data.tokenizer.vocab_size
    assert data.spec.inputs == TokenInput(size) and data.spec.outputs == VocabOutput(size)
    assert size == (
        256 if kind == TokenizerKind.BYTE else len(set("".join(documents["train"]))) + 1
    )


def test_dtype_is_the_smallest_that_holds_the_vocabulary(config: ExperimentConfig) -> None:
    Path(config.data.validation_path).write_text("".join(map(chr, range(0x4E00, 0x4E00 + 300))))
    config.data.train_path = config.data.validation_path
    data = load(config)
    assert data.tokenizer.vocab_size == 301
    assert data.splits["train"].tokens.dtype == np.uint16


def test_second_load_reads_the_store(
    config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(config)

    def refuse(*args: Any) -> None:
        raise AssertionError("tokenised again")

    # Nor does it take the lock, so that a cache that cannot be written still serves.
    monkeypatch.setattr(store, "_write", refuse)
    monkeypatch.setattr(filelock, "FileLock", refuse)
    second = load(config)
    assert second.fingerprint == first.fingerprint
    assert second.tokenizer.to_json() == first.tokenizer.to_json()


def test_fingerprint_follows_text_documents_and_tokenizer(config: ExperimentConfig) -> None:
    prints = [load(config).fingerprint]
    config.data.unknown_symbols = False
    prints.append(load(config).fingerprint)
    config.data.tokenizer = TokenizerKind.BYTE
    prints.append(load(config).fingerprint)
    # The same text as one document instead of two.
    folder = Path(config.data.validation_path).parent
    joined = b"".join((folder / f"train-{i}.txt").read_bytes() for i in (1, 2))
    (folder / "joined.txt").write_bytes(joined)
    config.data.train_path = str(folder / "joined.txt")
    prints.append(load(config).fingerprint)
    (folder / "joined.txt").write_bytes(joined.replace(b"plain", b"plane"))
    prints.append(load(config).fingerprint)
    assert len(set(prints)) == len(prints)
    assert len(entries(config)) == len(prints)


def damage_flip(entry: Path) -> None:
    path = entry / "train.tokens.npy"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def damage_offsets(entry: Path) -> None:
    offsets = np.load(entry / "train.offsets.npy")
    offsets[1] += 1
    np.save(entry / "train.offsets.npy", offsets)


def damage_truncate(entry: Path) -> None:
    path = entry / "train.tokens.npy"
    path.write_bytes(path.read_bytes()[:-5])


def damage_empty(entry: Path) -> None:
    (entry / "validation.tokens.npy").write_bytes(b"")


def damage_tokenizer(entry: Path) -> None:
    path = entry / "entry.json"
    path.write_text(path.read_text(encoding="utf-8").replace("雨", "零"), encoding="utf-8")


def damage_meta(entry: Path) -> None:
    (entry / "entry.json").write_text("{")


def damage_missing(entry: Path) -> None:
    (entry / "entry.json").unlink()


def damage_other(entry: Path) -> None:
    (entry / "entry.json").write_text("[1]")


DAMAGES = [function for name, function in list(globals().items()) if name.startswith("damage_")]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_entry_is_noticed_and_built_again(
    config: ExperimentConfig, damage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    first = load(config)
    tokens = np.array(first.splits["train"].tokens)
    damage(entries(config)[0])
    with caplog.at_level(logging.WARNING):
        second = load(config)
    assert "is damaged" in caplog.text and "making it again" in caplog.text
    assert second.fingerprint == first.fingerprint
    assert (second.splits["train"].tokens == tokens).all()
    caplog.clear()
    load(config)
    assert not caplog.records
    assert len(entries(config)) == 1


def test_half_written_entry_is_not_used(
    config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*args: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(store, "_sync_directory", die)
        with pytest.raises(Killed):
            load(config)
    (partial,) = entries(config)
    assert partial.suffix == ".partial"
    assert len(load(config).splits["train"].tokens) == 3 * len(CHINESE) + 12
    assert [entry.suffix for entry in entries(config)] == [""]


def test_full_disk_is_one_line(config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError) as raised:
            load(config)
    assert str(raised.value) == (
        f"the cache directory {config.data.cache_dir} is full; name another by data.cache_dir or "
        "by $SEQMODELS_CACHE_DIR"
    )
    load(config)


@pytest.mark.parametrize("name", ["text_file", "python_docs"])
def test_cache_that_cannot_be_written_is_one_line(config: ExperimentConfig, name: str) -> None:
    Path(config.data.cache_dir).write_text("a file where the directory should be")
    if name == "python_docs":
        config = experiment(cache_dir=config.data.cache_dir)
    with pytest.raises(UserError, match=r"the cache directory .* cannot be written") as raised:
        load(config)
    assert "\n" not in str(raised.value)


def test_text_that_changes_while_it_is_read_is_not_stored(
    config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = TextFile.splits

    def read_and_change(self: TextFile) -> Any:
        splits = read(self)
        Path(str(config.data.validation_path)).write_text("changed", encoding="utf-8")
        return splits

    monkeypatch.setattr(TextFile, "splits", read_and_change)
    with pytest.raises(UserError, match="changed while it was read"):
        load(config)


def test_processes_that_prepare_at_once_agree(tmp_path: Path) -> None:
    config = experiment(cache_dir=str(tmp_path / "cache"))
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        prints = set(pool.map(load_fingerprint, [config] * 4))
    assert prints == {load(config).fingerprint}
    assert len(entries(config)) == 1


def test_held_out_symbols_become_unknown_with_one_loud_line(
    config: ExperimentConfig, caplog: pytest.LogCaptureFixture
) -> None:
    Path(config.data.validation_path).write_text("plain €€ ž\n", encoding="utf-8")
    for _ in range(2):  # the second time from the store
        caplog.clear()
        data = load(config)
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        line = record.getMessage()
        assert "3 of 11 characters (27.273%) of the validation split" in line
        assert "2 distinct: '€' (U+20AC) x 2, 'ž' (U+017E) x 1" in line
        assert (
            data.tokenizer.decode(data.splits["validation"].tokens) == "plain \ufffd\ufffd \ufffd\n"
        )
    config.data.unknown_symbols = False
    with pytest.raises(UnknownSymbols) as raised:
        load(config)
    message = str(raised.value)
    assert message.startswith("data.unknown_symbols=false: the validation split, against the train")
    assert "'€' (U+20AC) at character 6, 'ž' (U+017E) at character 9" in message
    config.data.tokenizer = TokenizerKind.BYTE
    caplog.clear()
    load(config)
    assert not caplog.records


def test_a_given_tokenizer_is_used(config: ExperimentConfig) -> None:
    symbols = "".join(sorted(set(CHINESE + "plain\r\ntext\n!")))
    for tokenizer in (CharacterTokenizer(symbols, True), ByteTokenizer()):
        data = load(config, as_features(tokenizer))
        assert data.tokenizer.to_json() == tokenizer.to_json()
        assert data.tokenizer.decode(data.splits["validation"].tokens) == "plain 雨\n"
    # The first document has them all; a position counts through the split.
    tokenizer = CharacterTokenizer("".join(sorted(set(CHINESE + "plain\n"))), False)
    position = 3 * len(CHINESE) + len("plain\r\nte")
    with pytest.raises(UnknownSymbols, match="against the tokenizer of the run") as raised:
        load(config, as_features(tokenizer))
    assert ("x", position) in raised.value.symbols


def test_the_tokenizer_that_the_data_make_needs_no_entry_of_its_own(
    config: ExperimentConfig,
) -> None:
    made = load(config)
    given = load(config, made.features)
    assert (given.where, given.fingerprint) == (made.where, made.fingerprint)
    assert len(entries(config)) == 1
    load(config, as_features(ByteTokenizer()))
    assert len(entries(config)) == 2


def test_batches_come_from_the_named_split(config: ExperimentConfig) -> None:
    data = load(config)
    config.data.batching = Batching.CROPS
    batch = data.batches(config).batch(1)
    assert batch.inputs.shape == (3, 7)
    assert all(
        data.tokenizer.decode(row) in CHINESE * 3 + "plain\r\ntext\n" for row in batch.inputs
    )
    assert (
        data.tokenizer.decode(data.batches(config, "validation").batch(1).inputs[0]) == "plain 雨"
    )
    with pytest.raises(UserError, match=r"--split=test: .* no such split; one of: train, valid"):
        data.batches(config, "test")
    config.data.sequence_length = 8
    with pytest.raises(UserError, match=r"data.sequence_length=8: the validation split has 8 tok"):
        data.batches(config, "validation")
    other = dataclass_seed(config, 1)
    config.data.sequence_length = 7
    assert (data.batches(other).batch(1).inputs != batch.inputs).any()


def dataclass_seed(config: ExperimentConfig, seed: int) -> ExperimentConfig:
    data = {**vars(config.data), "sequence_length": 7}
    other = experiment(**data)
    other.training.seed = seed
    return other


def test_buckets_take_one_step_a_call(config: ExperimentConfig) -> None:
    config.data.batching, config.data.batch_size = Batching.BUCKETS, 1
    config.data.sequence_length = 100
    data = load(config)
    assert len(data.batches(config).shapes) > 1
    config.training.steps_per_call = 4
    with pytest.raises(UserError, match=r"training.steps_per_call=4: with data.batching=buckets"):
        data.batches(config)


def test_names_and_paths_that_do_not_go_together(config: ExperimentConfig) -> None:
    config.data.name = "python_docs"
    with pytest.raises(
        UserError, match=r"is only for data.name=text_file or abc_file .*, not python_docs"
    ):
        validate(config)
    with pytest.raises(UserError, match=r"'pyton_docs' is not known; did you mean 'python_docs'"):
        load(experiment(name="pyton_docs"))


def test_prepare_summarises(config: ExperimentConfig) -> None:
    summary = prepare(config, build_task(config))
    data = load(config)
    assert summary == {
        "dataset": "text_file",
        "where": str(entries(config)[0]),
        "encoding": data.summary(),
        "fingerprint": data.fingerprint,
        "tokenizer": "character",
        "vocab_size": data.tokenizer.vocab_size,
        "splits": {
            "train": {"documents": 2, "characters": 3 * len(CHINESE) + 12}
            | {"tokens": 3 * len(CHINESE) + 12},
            "validation": {"documents": 1, "characters": 8, "tokens": 8},
        },
        "notes": [],
    }


def test_cache_directory(config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = Path(config.data.cache_dir).with_name("elsewhere")
    config.data.cache_dir = None
    monkeypatch.setenv("SEQMODELS_CACHE_DIR", str(elsewhere))
    assert Path(load(config).where).is_relative_to(elsewhere)
    monkeypatch.delenv("SEQMODELS_CACHE_DIR")
    monkeypatch.setenv("HOME", str(elsewhere / "home"))
    assert Path(load(config).where).is_relative_to(elsewhere / "home" / ".cache" / "seqmodels")


def test_loading_imports_no_tensorflow_and_warns_of_nothing(tmp_path: Path) -> None:
    program = f"""
import sys
from tests.data.helpers import experiment
from tests.opening import load
config = experiment(cache_dir={str(tmp_path)!r})
load(config).batches(config).batch(1)
assert "tensorflow_datasets" in sys.modules
assert "tensorflow" not in sys.modules
"""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
