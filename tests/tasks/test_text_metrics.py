"""BLEU, chrF and exact match of texts, by length, and what is written word by word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sacrebleu

from seqmodels.config.errors import UserError
from seqmodels.config.training import BleuTokenizer, EvaluationConfig
from seqmodels.tasks.text_metrics import (
    WordByWord,
    make_bleu,
    score_by_length,
    score_texts,
    warn_of_missing_spaces,
)
from tests.tolerances import TOLERANCE

WANTED = ["A man is riding a red bike .", "Two dogs run through the snow.", "Ein Haus", "well-made"]
FOUND = ["a man is riding the red bike .", "Two dogs play in the snow.", "Ein Haus", ""]


NAMES = {
    BleuTokenizer.WMT: "13a",
    BleuTokenizer.INTL: "intl",
    BleuTokenizer.CHAR: "char",
    BleuTokenizer.NONE: "none",
    BleuTokenizer.ZH: "zh",
}
"""Of those that need nothing but sacrebleu."""


@pytest.mark.parametrize("tokenizer", NAMES)
@pytest.mark.parametrize("lowercase", [False, True])
def test_scores_are_sacrebleu_s_own(tokenizer: BleuTokenizer, lowercase: bool) -> None:
    name = NAMES[tokenizer]
    config = EvaluationConfig(bleu_tokenizer=tokenizer, lowercase=lowercase)
    scores = score_texts(FOUND, WANTED, config)
    bleu = sacrebleu.corpus_bleu(
        FOUND, [WANTED], tokenize=name, lowercase=lowercase, force=True
    ).score
    chrf = sacrebleu.CHRF(lowercase=lowercase).corpus_score(FOUND, [WANTED]).score
    np.testing.assert_allclose(scores["bleu"], bleu, **TOLERANCE["exact"])
    np.testing.assert_allclose(scores["chrf"], chrf, **TOLERANCE["exact"])
    assert 0 < bleu < 100
    assert scores["exact_match"] == 1 / 4
    assert f"tok:{name}" in scores["bleu_signature"]
    assert ("case:lc" in scores["bleu_signature"]) == lowercase


@pytest.mark.parametrize("lowercase", [False, True])
def test_without_four_words_there_is_no_bleu(lowercase: bool) -> None:
    words, letters = (
        EvaluationConfig(bleu_tokenizer=tokenizer, lowercase=lowercase)
        for tokenizer in (BleuTokenizer.WMT, BleuTokenizer.CHAR)
    )
    numbers = ["42007", "7"]
    scores = score_texts(numbers, numbers, words)
    assert scores["bleu"] is None and scores["chrf"] == 100 and scores["exact_match"] == 1
    assert score_texts(["1"], ["1 two, 3"], words)["bleu"] == 0  # the comma is the fourth
    assert score_texts(numbers, numbers, letters)["bleu"] > 99  # five letters


def test_exact_match_looks_at_case_as_asked() -> None:
    for lowercase, share in ((False, 0.5), (True, 1.0)):
        config = EvaluationConfig(lowercase=lowercase)
        assert score_texts(["Ab", "c"], ["aB", "c"], config)["exact_match"] == share


def test_parts_by_length_hold_every_pair_once() -> None:
    lengths = np.array([3, 9, 3, 4, 5, 8, 3, 7, 30])
    wanted = [f"text of {n}" for n in lengths]
    found = [text if n < 8 else "" for text, n in zip(wanted, lengths, strict=True)]
    rows = score_by_length(found, wanted, lengths, EvaluationConfig())
    assert sum(row["num_pairs"] for row in rows) == 9
    assert [(row["shortest"], row["longest"]) for row in rows] == [(3, 3), (4, 5), (7, 8), (9, 30)]
    assert [row["exact_match"] for row in rows] == [1, 1, 0.5, 0]
    (one,) = score_by_length(found[:1], wanted[:1], lengths[:1], EvaluationConfig())
    assert one["num_pairs"] == 1


def test_word_by_word() -> None:
    pairs: list[Any] = [
        ("ein Hund", "a dog"),
        ("ein roter Hund", "a red dog"),
        ("der hier schläft", "the one is asleep"),  # places 0, 2 (1.5 rounded up) and 3
    ]
    write = WordByWord(*map(list, zip(*pairs, strict=True)))
    assert write("ein Hund hier schläft") == "a dog is asleep"
    assert write("der rote Hund") == "the rote dog"
    assert WordByWord(["heute"], ["not one word"])("heute") == "not"


CHINESE = ["今天早上下了一场小雨，街上的人不多。", "老师说：学而时习之，不亦说乎？"]


def test_chinese_is_scored_by_characters() -> None:
    """By `wmt` a clause is a word, and the one that differs is all of it."""
    found = [CHINESE[0].replace("小雨", "大雨"), CHINESE[1]]
    config = EvaluationConfig(bleu_tokenizer=BleuTokenizer.ZH)
    expected = sacrebleu.corpus_bleu(found, [CHINESE], tokenize="zh").score
    bleu = score_texts(found, CHINESE, config)["bleu"]
    np.testing.assert_allclose(bleu, expected, **TOLERANCE["exact"])
    assert bleu > 80 and score_texts(found, CHINESE, EvaluationConfig())["bleu"] is None


@pytest.mark.parametrize(
    ("texts", "tokenizer", "warned"),
    [
        (CHINESE, BleuTokenizer.WMT, True),
        (CHINESE, BleuTokenizer.NONE, True),
        (["วันนี้อากาศดีมากเราไปเที่ยวทะเลกัน"], BleuTokenizer.INTL, True),
        (CHINESE, BleuTokenizer.ZH, False),
        (CHINESE, BleuTokenizer.CHAR, False),
        ([" ".join(text) for text in CHINESE], BleuTokenizer.NONE, False),
        (WANTED, BleuTokenizer.WMT, False),
        (["2001-02-03", "1999-12-31"], BleuTokenizer.WMT, False),
        (["Donaudampfschifffahrtsgesellschaft"], BleuTokenizer.WMT, False),
    ],
)
def test_targets_without_spaces_are_said_to_need_another_tokenizer(
    texts: list[str], tokenizer: BleuTokenizer, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_missing_spaces(texts, EvaluationConfig(bleu_tokenizer=tokenizer))
    assert ("zh, ja-mecab, flores200 or char split them" in caplog.text) == warned


@pytest.mark.parametrize(
    ("tokenizer", "told"),
    [
        (BleuTokenizer.JA_MECAB, "ja-mecab: needs MeCab and ipadic, not installed here: pip"),
        (BleuTokenizer.FLORES200, "flores200: needs sentencepiece, not installed here: pip inst"),
    ],
)
def test_a_tokenizer_whose_extra_is_missing_is_refused(
    tokenizer: BleuTokenizer, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = EvaluationConfig(bleu_tokenizer=tokenizer)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=f"evaluation.bleu_tokenizer={told}"):
        score_texts(FOUND, WANTED, config)
    monkeypatch.undo()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)

    def fail(name: str) -> None:
        raise OSError("no such host")

    monkeypatch.setattr("sacrebleu.metrics.bleu._get_tokenizer", fail)
    with pytest.raises(UserError, match=f"evaluation.bleu_tokenizer={tokenizer}: no such host"):
        make_bleu(config)
