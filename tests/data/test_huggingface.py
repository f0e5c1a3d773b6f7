"""Tokenizers of the tokenizers library: text comes back, bytes add up, halves are held back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from seqmodels.config.errors import UserError
from seqmodels.data.huggingface import HuggingFaceTokenizer, open_tokenizer
from seqmodels.data.tokenizers import UnknownSymbols, load_tokenizer
from seqmodels.types import Tokenizer
from tests.interop.conftest import byte_level

TEXT = "the cat née 日本 😀\n\t and<|endoftext|>the dog"
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "##s", "mat", ",", "x"]


@pytest.fixture
def pieces(tmp_path: Path) -> HuggingFaceTokenizer:
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES))
    return open_tokenizer(tmp_path)


@pytest.fixture
def bytes_of(tmp_path: Path) -> HuggingFaceTokenizer:
    byte_level(tmp_path)
    return open_tokenizer(tmp_path)


def test_byte_level_loses_nothing(bytes_of: HuggingFaceTokenizer) -> None:
    ids = bytes_of.encode(TEXT)
    assert isinstance(bytes_of, Tokenizer)
    assert bytes_of.lossless
    assert bytes_of.decode(ids) == TEXT
    assert bytes_of.byte_lengths[ids].sum() == len(TEXT.encode())
    assert len(ids) < len(TEXT.encode())
    with pytest.raises(UnknownSymbols, match="U\\+D800"):
        bytes_of.encode("a\ud800")


@pytest.mark.parametrize("size", [1, 3])
def test_a_stream_never_gives_half_a_character(bytes_of: HuggingFaceTokenizer, size: int) -> None:
    ids, stream = bytes_of.encode(TEXT), bytes_of.decode_stream()
    parts = [stream.feed(ids[n : n + size]) for n in range(0, len(ids), size)]
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(parts)
    assert "".join(parts) + stream.flush() == TEXT
    cut = bytes_of.decode_stream()
    assert cut.feed(bytes_of.encode("日")[:1]) == ""
    assert cut.flush() == "\N{REPLACEMENT CHARACTER}"


def test_gpt2_s_two_files_are_the_same_tokenizer(tmp_path: Path) -> None:
    byte_level(tmp_path)
    whole = open_tokenizer(tmp_path)
    model = json.loads((tmp_path / "tokenizer.json").read_text())["model"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "vocab.json").write_text(json.dumps(model["vocab"]))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"])]
    (other / "merges.txt").write_text("\n".join(lines))
    np.testing.assert_array_equal(open_tokenizer(other).encode(TEXT), whole.encode(TEXT))


def test_word_pieces(pieces: HuggingFaceTokenizer) -> None:
    assert pieces.mask_id == PIECES.index("[MASK]")
    assert not pieces.lossless
    ids = pieces.encode("The CATS, the mat")
    assert [PIECES[i] for i in ids] == ["the", "cat", "##s", ",", "the", "mat"]
    with pytest.raises(UnknownSymbols, match="'d'"):
        pieces.encode("the dog")
    assert pieces.encode("the dog", unknown=True).tolist() == [5, 1]
    stream = pieces.decode_stream(pieces.encode("the"))
    assert [stream.feed(i) for i in pieces.encode("cats, mat")] == [" cat", "s", ",", " mat"]


def test_saved_and_opened_again(pieces: HuggingFaceTokenizer, tmp_path: Path) -> None:
    padded = open_tokenizer(tmp_path, len(PIECES) + 5)
    assert padded.vocab_size == len(PIECES) + 5
    assert padded.decode([5, 13, 8]) == "the mat"
    padded.save(tmp_path / "kept.json")
    again = load_tokenizer(tmp_path / "kept.json")
    assert again.to_json() == padded.to_json() != pieces.to_json()


def test_what_is_no_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the folder has no tokenizer: tokenizer.json, or vocab"):
        open_tokenizer(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES))
    with pytest.raises(UserError, match="data.vocab_size=3: must be at least 11"):
        open_tokenizer(tmp_path, 3)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="tokenizer.json: not a tokenizer file"):
        open_tokenizer(tmp_path)


def test_a_line_end_of_unicode_s_is_a_token(tmp_path: Path) -> None:
    """transformers 5.23 gives `a` the number 2 too; so does its reader for lines that end in CR LF,
    and leaves a carriage return by itself where it is."""
    for end in ("\n", "\r\n"):
        (tmp_path / "vocab.txt").write_bytes(end.join(["\ufeff[UNK]", "\u2028", "a", ""]).encode())
        assert open_tokenizer(tmp_path).encode("a").tolist() == [2]
        assert open_tokenizer(tmp_path).vocab_size == 3
    (tmp_path / "vocab.txt").write_text("[UNK]\na\rb\nc\n", newline="")
    assert open_tokenizer(tmp_path).encode("c").tolist() == [2]
