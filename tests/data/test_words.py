"""Words as tokens: which are kept, what a line is, and what comes back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import TokenizerKind
from seqmodels.data import token_store
from seqmodels.data.tokenizers import UnknownSymbols, load_tokenizer, tokenizer_from_json
from seqmodels.data.words import WordTokenizer
from seqmodels.types import Tokenizer
from tests.data.helpers import CHINESE, experiment
from tests.opening import load

TEXT = " = Heading = \n \n the cat , the <unk> dog\tthe\u2028end . \n"
WORDS = ["the", "=", ",", ".", "Heading", "cat", "dog", "end"]


def test_a_text_is_its_words_and_its_line_ends() -> None:
    tokenizer = WordTokenizer.train([TEXT])
    assert isinstance(tokenizer, Tokenizer)
    # The most frequent first; words of one count in code point order.
    assert tokenizer.words == ["<unk>", "<eos>", *WORDS]
    ids = tokenizer.encode(TEXT)
    assert ids.dtype == np.int32
    shown = " ".join(tokenizer.words[i] for i in ids)
    assert shown == "= Heading = <eos> <eos> the cat , the <unk> dog the end . <eos>"
    assert tokenizer.decode(ids) == "= Heading =\n\nthe cat , the <unk> dog the end .\n"
    assert (tokenizer.unknown_id, tokenizer.eos_id, tokenizer.mask_id) == (0, 1, None)
    assert tokenizer.byte_lengths.tolist()[:4] == [0, 1, 3, 1] and not tokenizer.lossless
    # Nothing but the start of a text is at the start of a text.
    assert tokenizer.start.size == 0
    assert tokenizer.encode("").tolist() == [] and tokenizer.encode("the").tolist() == [2]
    # Where a text is cut into lines already, its marks are the same tokens.
    assert tokenizer.encode("the <eos>").tolist() == tokenizer.encode("the \n").tolist() == [2, 1]


@pytest.mark.parametrize(
    ("min_count", "vocab_size", "kept"),
    [
        (1, None, ["c", "b", "a", "d"]),
        (2, None, ["c", "b"]),
        (3, None, ["c"]),
        (4, None, []),
        (1, 5, ["c", "b", "a"]),
        (2, 3, ["c"]),
    ],
)
def test_rare_words_are_left_out(min_count: int, vocab_size: int | None, kept: list[str]) -> None:
    """b and c have 2 and 3, a and d one each; <unk> and <eos> are among vocab_size."""
    tokenizer = WordTokenizer.train(["d c b", "a b c c\n"], min_count, vocab_size)
    assert tokenizer.words[2:] == kept
    assert tokenizer.vocab_size == len(kept) + 2 == len(tokenizer.byte_lengths)
    shown = [word if word in kept else "<unk>" for word in "bdc"]
    assert tokenizer.decode(tokenizer.encode("b d c", unknown=True)) == " ".join(shown)


def test_unknown_words_are_named_with_their_places() -> None:
    tokenizer = WordTokenizer.train(["a b\n"])
    with pytest.raises(UnknownSymbols) as raised:
        tokenizer.encode("a\n cat <unk> b dog cat")
    assert raised.value.symbols == [("cat", 3), ("dog", 15)] and raised.value.total == 3
    assert str(raised.value) == (
        "the text has 3 words outside the vocabulary: 'cat' at character 3, 'dog' at character 15"
    )
    ids = tokenizer.encode("a\n cat <unk> b dog cat", unknown=True)
    assert ids.tolist() == [2, 1, 0, 0, 3, 0, 0]
    assert tokenizer.count_unknown("a\n cat <unk> b dog cat") == {"cat": 2, "dog": 1}
    with pytest.raises(UnknownSymbols) as raised:
        tokenizer.encode("x" * 999)
    assert str(raised.value).endswith(f"vocabulary: '{'x' * 40}...' at character 0")


LINES = st.text(st.sampled_from("ab<unk>eos \n\t\r\u2028中😀"))


@settings(max_examples=200, deadline=None)
@given(LINES, LINES, st.lists(st.integers(1, 5)))
def test_what_comes_back_is_the_text_with_single_spaces(
    text: str, other: str, cuts: list[int]
) -> None:
    tokenizer = WordTokenizer.train([text, other])
    tokenizer = tokenizer_from_json(json.loads(json.dumps(tokenizer.to_json())))
    ids, expected = (
        tokenizer.encode(text),
        "\n".join(" ".join(line.split()) for line in text.split("\n")),
    )
    if "<eos>" not in text:
        assert tokenizer.decode(ids) == expected
    assert (tokenizer.encode(tokenizer.decode(ids)) == ids).all()
    stream, out, at = tokenizer.decode_stream(), "", 0
    for size in [*cuts, len(ids)]:
        out, at = out + stream.feed(ids[at : at + size]), at + size
    assert out + stream.flush() == tokenizer.decode(ids)
    for cut in range(len(ids)):
        behind = tokenizer.decode_stream(ids[:cut]).feed(ids[cut:])
        assert tokenizer.decode(ids[:cut]) + behind == tokenizer.decode(ids)


def test_save_and_load(tmp_path: Path) -> None:
    tokenizer = WordTokenizer.train([CHINESE, TEXT], min_count=1, vocab_size=9)
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    assert isinstance(loaded, WordTokenizer) and loaded.words == tokenizer.words
    for words in (["a", "a"], ["<eos>"], ["a b"], [""], ["a\u2028"]):
        with pytest.raises(ValueError, match="distinct and without white space"):
            WordTokenizer(words)
    with pytest.raises(ValueError, match="not a known kind of tokenizer"):
        tokenizer_from_json({"kind": "word", "words": ["a", 2]})


def make_config(tmp_path: Path) -> ExperimentConfig:
    (tmp_path / "train.txt").write_text("a b c\na b\na d\n", encoding="utf-8")
    (tmp_path / "held.txt").write_text("a e f\nd e\n", encoding="utf-8")
    return experiment(
        name="text_file",
        train_path=str(tmp_path / "train.txt"),
        validation_path=str(tmp_path / "held.txt"),
        cache_dir=str(tmp_path / "cache"),
        tokenizer=TokenizerKind.WORD,
        sequence_length=2,
        batch_size=2,
    )


@pytest.fixture
def config(tmp_path: Path) -> ExperimentConfig:
    return make_config(tmp_path)


def test_only_the_training_split_makes_the_vocabulary(config: ExperimentConfig) -> None:
    data = load(config)
    assert data.tokenizer.to_json()["words"] == ["a", "b", "c", "d"]
    assert data.splits["train"].tokens.tolist() == [2, 3, 4, 1, 2, 3, 1, 2, 5, 1]
    assert data.splits["validation"].tokens.tolist() == [2, 0, 0, 1, 5, 0, 1]
    (note,) = data.notes
    assert note == (
        "3 of 7 words (42.857%) of the validation split are not in the vocabulary of the training "
        "split and become <unk>: 2 distinct: 'e' (U+0065) x 2, 'f' (U+0066) x 1"
    )


def test_every_setting_of_the_tokenizer_is_in_the_store_s_key(config: ExperimentConfig) -> None:
    places, sizes = {load(config).where}, []
    for field, value in (("min_count", 2), ("vocab_size", 5), ("vocab_size", 4)):
        setattr(config.data, field, value)
        data = load(config)
        places.add(data.where)
        sizes.append(data.tokenizer.vocab_size)
    assert sizes == [4, 4, 4] and len(places) == 4
    assert "2 of 10 words (20.000%) of the train split" in data.notes[0]
    # What a run kept is what its data make.
    assert load(config, data.features).where == data.where


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_no_word_is_cut_where_a_long_text_is(
    config: ExperimentConfig, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "alpha beta\n\ngamma alpha\n beta"
    assert "".join(token_store.cut_after_lines(text, size)) == text
    assert list(token_store.cut_after_lines("", size)) == []
    Path(str(config.data.train_path)).write_text(text, encoding="utf-8")
    monkeypatch.setattr(token_store, "_CHUNK", size)
    data = load(config)
    assert data.tokenizer.decode(data.splits["train"].tokens) == "\n".join(
        line.strip() for line in text.split("\n")
    )
