"""Answers chosen by their log-likelihood behind the prompt."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.models import NgramConfig
from seqmodels.data.choices import Question
from seqmodels.evaluation.choices import evaluate_choices
from seqmodels.models.ngram import fit_ngram
from seqmodels.runs.run import Run
from tests.evaluation.runs import make_run
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
