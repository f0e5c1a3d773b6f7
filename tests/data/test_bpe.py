"""Byte-level BPE that the training split makes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import TokenizerKind
from seqmodels.data import token_store
from seqmodels.data.huggingface import HuggingFaceTokenizer, train_byte_pairs
from tests.data.helpers import CHINESE, experiment
from tests.opening import load

TEXT = "low low low low low lower lower newest newest newest newest newest newest widest widest\n"


def train(text: str = TEXT, vocab_size: int = 261) -> HuggingFaceTokenizer:
    return train_byte_pairs([text], vocab_size)


def test_the_most_frequent_pairs_become_tokens() -> None:
    # es stands 8 times in the text, est 8 times, and then Ġ (a space) n and lo 6 and 7 times.
    tokenizer = train(vocab_size=259)
    vocabulary = tokenizer.description()["model"]["vocab"]
    joined = sorted(vocabulary, key=vocabulary.get)[256:]
    assert joined[:2] == ["es", "est"] and joined[2] in ("lo", "ow")
    assert len(vocabulary) == tokenizer.vocab_size == 259


@pytest.mark.parametrize(
    "text", [TEXT, CHINESE, "\x00\x7f\r\n\t  \N{PILE OF POO}<|endoftext|>", ""]
)
def test_no_text_loses_anything(text: str) -> None:
    tokenizer = train()
    assert tokenizer.lossless and tokenizer.unknown_id is None
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.byte_lengths[ids].sum() == len(text.encode())
    assert text != TEXT or len(ids) < len(TEXT.encode())


def test_the_same_text_gives_the_same_tokens() -> None:
    text = CHINESE + TEXT + " ".join(f"{n:x}" for n in range(3000))
    program = f"""
from seqmodels.data.huggingface import train_byte_pairs
import hashlib, json
made = train_byte_pairs([{text!r}], 400).to_json()
print(hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest())
"""
    command = [sys.executable, "-c", program]
    prints = {
        subprocess.run(
            command, capture_output=True, text=True, check=True, env={"RAYON_NUM_THREADS": threads}
        ).stdout
        for threads in ("1", "3")
    }
    assert len(prints) == 1


def make_config(tmp_path: Path) -> ExperimentConfig:
    (tmp_path / "train.txt").write_text(TEXT * 3, encoding="utf-8")
    (tmp_path / "held.txt").write_text("zebra zebra zebra zebra 雨\n" * 50, encoding="utf-8")
    return experiment(
        name="text_file",
        train_path=str(tmp_path / "train.txt"),
        validation_path=str(tmp_path / "held.txt"),
        cache_dir=str(tmp_path / "cache"),
        tokenizer=TokenizerKind.BPE,
        vocab_size=260,
        sequence_length=2,
        batch_size=2,
    )


@pytest.fixture
def config(tmp_path: Path) -> ExperimentConfig:
    return make_config(tmp_path)


def test_only_the_training_split_teaches_tokens(config: ExperimentConfig) -> None:
    data = load(config)
    assert data.tokenizer.vocab_size == 260 and not data.notes
    assert data.tokenizer.to_json() == train(TEXT * 3, 260).to_json()
    held = data.splits["validation"]
    assert data.tokenizer.decode(held.tokens) == "zebra zebra zebra zebra 雨\n" * 50
    # Not one pair of the held-out text is a token, whatever its count.
    assert len(held.tokens) == len("zebra zebra zebra zebra 雨\n".encode()) * 50
    again = load(config, data.features)
    assert (again.where, again.fingerprint) == (data.where, data.fingerprint)


def test_the_size_is_in_the_store_s_key_and_too_small_a_text_is_told(
    config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {load(config).where}
    config.data.vocab_size = 5000
    # However the text is cut for training.
    monkeypatch.setattr(token_store, "_TRAINING_CHUNK", 10)
    data = load(config)
    places.add(data.where)
    assert len(places) == 2
    size = data.tokenizer.vocab_size
    assert 260 < size < 300
    assert data.notes == [
        f"data.vocab_size=5000: the training split gives only {size} tokens: no more pairs occur "
        "twice"
    ]
