"""Texts end where they contain their end, however a tokenizer splits it, and not too early."""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.transformers import GPTConfig
from seqmodels.data.huggingface import HuggingFaceTokenizer, train_byte_pairs
from seqmodels.data.tokenizers import ByteTokenizer, CharacterTokenizer
from seqmodels.data.words import WordTokenizer
from seqmodels.decoding.prompts import check_end
from seqmodels.decoding.text_ends import GrowingTexts, end_state, end_table
from seqmodels.runs.generate import GeneratedText, generate_text
from seqmodels.runs.run import Run
from seqmodels.types import Tokenizer
from tests.evaluation.runs import make_text_run

GPT = GPTConfig(num_layers=1, model_dim=12, num_heads=3, mlp_dim=10, max_length=8)
RECURRENT = RecurrentConfig(num_layers=1, model_dim=6, hidden_dim=7)


def word_pieces() -> Tokenizer:
    """Word pieces: those without ## have a space before them, which is not part of any token."""
    from tokenizers import Tokenizer as Library
    from tokenizers import decoders, models

    pieces = ["[UNK]", "a", "b", ".", "##a", "##b", "ab", "##ab", "ba"]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    library = Library(models.WordPiece(vocabulary, unk_token="[UNK]"))
    library.decoder = decoders.WordPiece()  # type: ignore[assignment]
    return HuggingFaceTokenizer(json.loads(library.to_str()))


TOKENIZERS: dict[str, Any] = {
    "character": lambda: CharacterTokenizer("\n .abé水", False),
    "byte": ByteTokenizer,
    "word": lambda: WordTokenizer(["a", "b", "ab", "ba", "水"]),
    "bpe": lambda: train_byte_pairs(["ab\n\nabab ba a.\n\nba \n" * 3], 264),
    "word pieces": word_pieces,
}


def draw(tokenizer: Tokenizer, rows: int, length: int) -> np.ndarray:
    """Draws tokens that write whole characters."""
    pieces = tokenizer.pieces(starts_line=False)
    whole = [i for i, piece in enumerate(pieces) if "\N{REPLACEMENT CHARACTER}" not in text(piece)]
    if len(whole) > 20:  # so that few symbols come often
        whole = [i for i in whole if pieces[i] and set(pieces[i]) <= set(b"ab.\n ")]
    return np.random.default_rng(length).choice(whole, (rows, length)).astype(np.int32)


def text(piece: bytes) -> str:
    return piece.decode(errors="replace")


def write(tokenizer: Tokenizer, prompts: np.ndarray, new: np.ndarray, end: str = "") -> Any:
    """Appends tokens in blocks; returns the texts, the tokens that were kept, and the prompts."""
    streamed = [""] * len(new)

    def on_text(row: int, piece: str) -> None:
        streamed[row] += piece

    before = [tokenizer.decode(p) for p in prompts]
    texts = GrowingTexts(tokenizer, before, list(prompts), end=end, on_text=on_text)
    kept = [block.copy() for block in np.split(new, [1, 2, 4, 8, 20], axis=1)]
    for block in kept:
        texts.take(block)
    texts.finish()
    assert streamed == texts.continuations
    return texts.continuations, np.concatenate(kept, axis=1), before


def end_of(whole: str, prompt: str, end: str) -> int:
    """Returns the length of a text up to its first end with a new character; -1 = it has none."""
    at = whole.find(end, max(len(prompt) - len(end) + 1, 0))
    return at if at < 0 else at + len(end)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_text_ends_where_it_contains_its_end(kind: str) -> None:
    tokenizer: Tokenizer = TOKENIZERS[kind]()
    prompts, new = draw(tokenizer, 3, 4), draw(tokenizer, 3, 30)
    free, kept, before = write(tokenizer, prompts, new)
    np.testing.assert_array_equal(kept, new)
    whole = before[0] + free[0]
    behind = len(before[0])
    # The first begins in the prompt; the next are as long as words, and as parts of words.
    for place, size in [(behind - 1, 2), (behind + 3, 1), (behind + 6, 2), (behind + 8, 5)]:
        end = whole[place : place + size]
        found, kept, _ = write(tokenizer, prompts, new, end)
        table = end_table(tokenizer, end)
        for row in range(3):
            at = end_of(before[row] + free[row], before[row], end)
            assert before[row] + found[row] == (before[row] + free[row])[: at if at >= 0 else None]
            count = int((kept[row] >= 0).sum())
            assert (kept[row, :count] == new[row, :count]).all() and (kept[row, count:] == -1).all()
            # The token before the last one had not yet written the end.
            (shorter,) = write(tokenizer, prompts[row : row + 1], new[row : row + 1, : count - 1])[
                0
            ]
            assert at < 0 or len(before[row] + shorter) < at
            if kind != "word pieces":  # what these write depends on more than a state
                assert at < 0 or end_of_table(table, before[row], end, new[row]) == count
        assert end_of(whole, before[0], end) >= 0


def end_of_table(table: np.ndarray, prompt: str, end: str, tokens: np.ndarray) -> int:
    """Counts tokens up to the one that completes the end according to the table."""
    state = end_state(prompt, end)
    for count, token in enumerate(tokens.tolist(), 1):
        state = table[state, token]
        if state == -1:
            return count
    return -1


def test_words_stand_behind_a_space_but_not_at_the_beginning_of_a_line() -> None:
    tokenizer = WordTokenizer(["the", "he"])
    the, he = 2, 3
    for end, prompt, tokens, count in [
        ("\nthe", "he", [1, the], 2),
        ("\n the", "he", [1, the], -1),
        (" the", "he\n", [the, the], 2),
        (" the", "he", [the, the], 1),
        ("e\nh", "", [the, 1, he], 3),
    ]:
        found = end_of_table(end_table(tokenizer, end), prompt, end, np.array(tokens))
        assert found == count, (end, prompt)


def test_what_a_token_has_behind_the_end_is_not_written() -> None:
    tokenizer: Tokenizer = TOKENIZERS["bpe"]()
    longest = max(range(tokenizer.vocab_size), key=lambda i: tokenizer.byte_lengths[i])
    piece = tokenizer.decode([longest])
    assert len(piece) > 2
    texts = GrowingTexts(tokenizer, ["ab"], [tokenizer.encode("ab")], end=piece[:2])
    new = np.array([[longest, longest]], np.int32)
    texts.take(new)
    texts.finish()
    assert texts.continuations == [piece[:2]] and new.tolist() == [[longest, -1]]


def test_half_a_character_behind_the_end_is_not_written() -> None:
    tokenizer = train_byte_pairs(["bé", "bè", "bê", "bë"], 257)
    token = tokenizer.pieces(starts_line=False).index(b"b\xc3")
    for end, written in [("b", "b"), ("c", "b\N{REPLACEMENT CHARACTER}")]:
        texts = GrowingTexts(tokenizer, [""], [np.zeros(1, np.int32)], end=end)
        texts.take(np.array([[token]], np.int32))
        texts.finish()
        assert texts.continuations == [written]


@functools.cache
def run_of(kind: str) -> Run:
    return make_text_run(GPT if kind == "character" else RECURRENT, TOKENIZERS[kind]())


def generate(run: Run, end: str = "", min_tokens: int = 0) -> GeneratedText:
    settings: dict[str, Any] = {"max_tokens": 40, "end": end, "min_tokens": min_tokens, "seed": 3}
    return generate_text(run, ["ab", "b\na"], **settings, on_notice=lambda _: None)


@pytest.mark.parametrize("kind", ["character", "bpe"])
def test_generation_ends_there_and_not_too_early(kind: str) -> None:
    run = run_of(kind)  # the GPT outgrows its positions, so that rows are read anew
    free = generate(run)
    ascii_at = next(i for i in range(6, 30) if free.continuations[0][i : i + 2].isascii())
    end = free.continuations[0][ascii_at : ascii_at + 2]
    plain = generate(run, end)
    for row, prompt in enumerate(plain.prompts):
        at = end_of(free.texts[row], prompt, end)
        assert plain.texts[row] == free.texts[row][: at if at >= 0 else None]
    first = int((plain.tokens[0] >= 0).sum())
    assert first < 40
    for least in (first + 1, 40):
        made = generate(run, end, least)
        assert ((made.tokens >= 0).sum(axis=1) >= least).all()
        for prompt, found in zip(made.prompts, made.texts, strict=True):
            assert end_of(found, prompt, end) in (-1, len(found))


def test_what_cannot_be_an_end_is_told() -> None:
    run = run_of("character")
    with pytest.raises(UserError, match="outside the vocabulary: 'x'"):
        generate(run, "ax")
    with pytest.raises(UserError, match="half of a surrogate pair is not a character"):
        check_end(TOKENIZERS["word"](), "a\ud800", 0, 40)
    with pytest.raises(UserError, match="--min_tokens=41: must be at most --max_tokens, 40"):
        generate(run, "a", 41)
    with pytest.raises(UserError, match="--min_tokens=1: needs --end=TEXT"):
        generate(run, "", 1)


def test_a_text_ends_at_a_token_that_is_not_written() -> None:
    tokenizer = TOKENIZERS["byte"]()
    new = np.array([list(b"abcde"), list(b"xyz\xc3\xa9"), list(b"c\xc3cab")], np.int32)
    written = [""] * 3

    def on_text(row: int, piece: str) -> None:
        written[row] += piece

    make = lambda **how: GrowingTexts(tokenizer, [""] * 3, [np.zeros(0)] * 3, **how)
    texts = make(eos_ids=(99, 3), on_text=on_text)  # 99 is c
    for block in np.split(new.copy(), [2, 4], axis=1):
        texts.take(block)
    texts.finish()
    assert texts.continuations == written == ["ab", "xyzé", ""]
    assert texts.ended.tolist() == [True, False, True]
    both = make(eos_ids=(99,), end="b")
    kept = new.copy()
    both.take(kept)
    assert both.continuations == ["ab", "xyzé", ""]
    assert kept.tolist() == [[97, 98, -1, -1, -1], new[1].tolist(), [99, -1, -1, -1, -1]]
    table, states, least = make(eos_ids=(99,), min_tokens=4).forbidden()
    assert (least, states.tolist(), np.flatnonzero(table[0] < 0).tolist()) == (4, [0] * 3, [99])
    table, states, _ = make(eos_ids=(99,), end="b", min_tokens=4).forbidden()
    assert [np.flatnonzero(row < 0).tolist() for row in table[states]] == [[98, 99]] * 3
    check_end(tokenizer, "", 3, 4, (99,))
    with pytest.raises(UserError, match="--min_tokens=3: needs --end=TEXT"):
        check_end(tokenizer, "", 3, 4)
