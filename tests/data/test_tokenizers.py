from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodels.config.errors import UserError
from seqmodels.data.tokenizers import (
    ByteTokenizer,
    CharacterTokenizer,
    UnknownSymbols,
    load_tokenizer,
    tokenizer_from_json,
)
from tests.data.helpers import CHINESE

TEXTS = [
    "",
    "\x7f\x80\u07ff\u0800\uffff\U00010000",
    "plain ASCII\n",
    CHINESE,
    "\ufeff\r\r\n\x00\x85\u2028",
    "\U0010ffff\ufffd",
    "한국어 ไทย",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("unknown", [False, True])
def test_round_trip_is_exact(text: str, unknown: bool) -> None:
    for tokenizer in (ByteTokenizer(), CharacterTokenizer.train([text, "a"], unknown)):
        ids = tokenizer.encode(text)
        assert ids.dtype == np.int32
        assert tokenizer.decode(ids) == text
        assert tokenizer.byte_lengths[ids].sum() == len(text.encode())
        assert tokenizer.byte_lengths.shape == (tokenizer.vocab_size,)


@settings(max_examples=200, deadline=None)
@given(st.text(), st.lists(st.integers(1, 5)), st.booleans())
def test_round_trip_and_streaming_of_any_text(text: str, cuts: list[int], unknown: bool) -> None:
    for tokenizer in (ByteTokenizer(), CharacterTokenizer.train([text], unknown)):
        tokenizer = tokenizer_from_json(json.loads(json.dumps(tokenizer.to_json())))
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        stream, out, at = tokenizer.decode_stream(), "", 0
        for size in [*cuts, len(ids)]:
            piece = stream.feed(ids[at : at + size])
            assert text.startswith(piece, len(out))  # whole characters, none early, none wrong
            out, at = out + piece, at + size
        assert out + stream.flush() == text


def test_normalisation_forms_stay_apart() -> None:
    composed, combining = "\u00e9", "e\u0301"
    assert unicodedata.normalize("NFC", combining) == composed
    tokenizer = CharacterTokenizer.train([composed + combining], unknown_symbols=False)
    assert tokenizer.vocab_size == 3
    assert tokenizer.decode(tokenizer.encode(combining)) == combining


def test_character_ids_are_in_code_point_order() -> None:
    tokenizer = CharacterTokenizer.train(["c😀", "中a"], unknown_symbols=False)
    assert tokenizer.symbols == "ac中😀"
    assert tokenizer.encode("😀中ca").tolist() == [3, 2, 1, 0]
    assert tokenizer.byte_lengths.tolist() == [1, 1, 3, 4]
    assert tokenizer.unknown_id is None


def test_unknown_symbol_is_token_zero_and_decodes_to_the_replacement_character() -> None:
    tokenizer = CharacterTokenizer.train(["ab"], unknown_symbols=True)
    assert (tokenizer.unknown_id, tokenizer.vocab_size) == (0, 3)
    assert tokenizer.encode("a中b\U0010ffff", unknown=True).tolist() == [1, 0, 2, 0]
    assert tokenizer.decode([1, 0, 2]) == "a\ufffdb"
    assert tokenizer.byte_lengths.tolist() == [0, 1, 1]


def test_unknown_symbols_are_named_with_code_and_position() -> None:
    for unknown in (False, True):
        tokenizer = CharacterTokenizer.train(["ab"], unknown_symbols=unknown)
        with pytest.raises(UnknownSymbols) as raised:
            tokenizer.encode("a中b中\u200d")
        assert raised.value.symbols == [("中", 1), ("\u200d", 4)]
        assert raised.value.total == 3
        message = str(raised.value)
        assert "'中' (U+4E2D) at character 1" in message and "U+200D at character 4" in message
        assert "\n" not in message
    # A tokenizer without <unk> has nothing to let them through as.
    with pytest.raises(UnknownSymbols):
        CharacterTokenizer.train(["ab"], unknown_symbols=False).encode("中", unknown=True)


def test_half_a_surrogate_pair_is_an_unknown_symbol() -> None:
    for tokenizer in (ByteTokenizer(), CharacterTokenizer.train(["ab"], True)):
        with pytest.raises(UnknownSymbols, match=r"U\+DC80 at character 1"):
            tokenizer.encode("a\udc80")


def test_byte_stream_holds_back_unfinished_characters() -> None:
    stream = ByteTokenizer().decode_stream()
    fed = [stream.feed([byte]) for byte in "é😀".encode()]
    assert fed == ["", "é", "", "", "", "😀"]
    assert stream.feed(np.array("中".encode()[0])) == ""
    assert stream.flush() == "\ufffd"
    assert stream.feed([ord("o")]) == "o"


def test_bytes_that_are_no_utf8_decode_to_the_replacement_character() -> None:
    assert ByteTokenizer().decode([0xFF, 0x61]) == "\ufffda"


@pytest.mark.parametrize(
    "tokenizer", [ByteTokenizer(), CharacterTokenizer.train([CHINESE], unknown_symbols=True)]
)
def test_save_and_load(tokenizer: ByteTokenizer | CharacterTokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    assert loaded.to_json() == tokenizer.to_json()
    assert loaded.kind == tokenizer.kind and loaded.unknown_id == tokenizer.unknown_id
    assert loaded.decode(loaded.encode(CHINESE)) == CHINESE
    assert [file.name for file in tmp_path.iterdir()] == ["tokenizer.json"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"kind": "word"}',
        '{"kind": "character", "symbols": "ba", "unknown_symbols": true}',
    ],
)
def test_damaged_tokenizer_file_is_one_line(content: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"tokenizer\.json: not a tokenizer file") as raised:
        load_tokenizer(path)
    assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match="No such file"):
        load_tokenizer(tmp_path / "none.json")
