"""Answers chosen by their log-likelihood behind the prompt."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.models import NgramConfig
from seqmodels.config.transformers import GPTConfig
from seqmodels.data.choices import Question
from seqmodels.data.huggingface import train_byte_pairs
from seqmodels.evaluation.choices import evaluate_choices
from seqmodels.models.ngram import fit_ngram
from seqmodels.runs.generate import make_scorer
from seqmodels.runs.run import Run
from tests.evaluation.runs import make_run, make_text_run
from tests.tolerances import TOLERANCE


def ask(prompt: str, answer: int, *choices: str) -> Question:
    return Question("asked.jsonl, line 1", prompt, choices, answer)


def counted() -> Run:
    """Counts of a text in which b stands behind a, and c behind b."""
    run = make_run(NgramConfig(order=3), "abcd")
    assert run.tokenizer is not None
    text = run.tokenizer.encode("abcabcabcabcdddabc" * 9)
    config: Any = run.config.model
    params = fit_ngram(config, run.spec, text)
    return dataclasses.replace(run, params=params)


def test_the_likely_answer_is_chosen_whatever_the_batch() -> None:
    run = counted()
    questions = [
        ask("aba", 0, "bc", "cb"),
        ask("b", 1, "a", "ca", "d"),
        ask("bca", 2, "d", "c", "bcabc"),
        ask("ddda", 0, "b", "d"),
        ask("dd", 0, "abcabc", "d"),  # half the time d, else a and then what is all but certain
    ]
    found = evaluate_choices(run, questions, 3)
    assert found["num_questions"] == 5
    assert found["chance"] == (1 / 2 + 1 / 3 + 1 / 3 + 1 / 2 + 1 / 2) / 5
    assert (found["accuracy"], found["accuracy_per_token"]) == (0.8, 1.0)
    for size in (1, 16):
        other = evaluate_choices(run, questions, size)
        assert {k: v for k, v in other.items() if k != "loss"} == {
            k: v for k, v in found.items() if k != "loss"
        }
        np.testing.assert_allclose(other["loss"], found["loss"], **TOLERANCE["chunking"])


def test_the_baseline_sees_no_prompt() -> None:
    found = evaluate_choices(counted(), [ask("ab", 0, "c", "a"), ask("bc", 1, "c", "a")], 4)
    assert found["accuracy"] == 1.0
    assert found["baseline"] == {
        "model": "no prompt",
        "accuracy": 0.5,
        "accuracy_per_token": 0.5,
    }


def test_a_choice_that_cannot_be_read_is_named() -> None:
    with pytest.raises(UserError, match=r"asked.jsonl, line 1: 'z': the text has a symbol"):
        evaluate_choices(counted(), [ask("a", 0, "b", "z")], 2)


def test_choices_that_share_a_token_with_the_prompt_are_scored_from_one_place() -> None:
    """`training` is one token, so that it is scored from its beginning; `trai` is followed by
    ` ning` alone, which by itself would be certain."""
    text = "training\n" * 60 + "trai ning\n" * 10 + "other\n" * 60
    tokenizer = train_byte_pairs([text], 280)
    assert len(tokenizer.encode("training")) == 1
    run = make_text_run(NgramConfig(order=2), tokenizer)
    config: Any = run.config.model
    run = dataclasses.replace(run, params=fit_ngram(config, run.spec, tokenizer.encode(text)))
    scorer = make_scorer(run, 4)
    whole = scorer([scorer.encode(text) for text in ("training", "trai ning")])
    for choices in (("ning", " ning"), (" ning", "ning")):
        answer = choices.index("ning")
        found = evaluate_choices(run, [ask("trai", answer, *choices)], 4)
        assert found["accuracy"] == 1.0
        np.testing.assert_allclose(-found["loss"], whole[0], **TOLERANCE["chunking"])
    assert whole[0] > whole[1]


def test_prompts_that_are_cut_are_counted_and_said(caplog: pytest.LogCaptureFixture) -> None:
    run = make_run(
        GPTConfig(num_layers=1, model_dim=12, num_heads=3, mlp_dim=10, max_length=20), "abcd"
    )
    questions = [ask("ab" * 20, 0, "c", "da"), ask("ab", 1, "c", "da")]
    found = evaluate_choices(run, questions, 4)
    assert found["num_cut_prompts"] == 1
    assert "1 of 2 prompts are longer than the model's positions" in caplog.text
    assert evaluate_choices(run, questions[1:], 4)["num_cut_prompts"] == 0
