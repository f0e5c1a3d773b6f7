"""Log-likelihoods of texts: a distribution over texts, which other rows do not change."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.transformers import BERTConfig, GPTConfig
from seqmodels.runs.generate import make_scorer
from tests.evaluation.runs import make_run
from tests.tolerances import TOLERANCE

RECURRENT = RecurrentConfig(num_layers=1, model_dim=6, hidden_dim=7)
GPT = GPTConfig(num_layers=1, model_dim=12, num_heads=3, mlp_dim=10, max_length=20)


@pytest.mark.parametrize("prompt", ["", "bca"])
def test_the_probabilities_of_all_texts_of_a_length_sum_to_one(prompt: str) -> None:
    scorer = make_scorer(make_run(RECURRENT, "abc"), 27)
    texts = ["".join(t) for t in itertools.product("abc", repeat=3)]
    scores = scorer(scorer.encode_after(prompt, texts)[0])
    total = sum(math.exp(score) for score in scores)
    np.testing.assert_allclose(total, 1.0, **TOLERANCE["chunking"])


@pytest.mark.parametrize("model", [RECURRENT, GPT], ids=["recurrent", "gpt"])
def test_neighbours_and_padding_change_no_score(model: ModelConfig) -> None:
    scorer = make_scorer(make_run(model, "abc"), 3)
    texts = [scorer.encode(text) for text in ("ab", "cabbacbabcabcabccb"[:17], "b")]
    together = scorer(texts)
    alone = [scorer([text])[0] for text in texts]
    np.testing.assert_allclose(together, alone, **TOLERANCE["chunking"])


def test_a_prompt_and_its_text_are_the_whole() -> None:
    """log p(ab) + log p(c | ab) = log p(abc)."""
    scorer = make_scorer(make_run(GPT, "abc"), 3)
    start = scorer.encode("abc")
    tokens, first = start
    assert (tokens.tolist(), first) == ([0, 0, 1, 2], 1)
    first_two, whole = scorer([scorer.encode("ab"), start])
    (rest,) = scorer([(tokens, 3)])
    np.testing.assert_allclose(first_two + rest, whole, **TOLERANCE["chunking"])


def test_a_prompt_that_is_too_long_loses_its_beginning_for_all_its_texts() -> None:
    run = make_run(GPT, "abc")
    assert run.tokenizer is not None
    scorer = make_scorer(run, 3)
    prompt, texts = "abcc" * 6, ["a", "bca"]
    encoded, cut = scorer.encode_after(prompt, texts)
    assert cut == len(prompt) + 3 - 1 - 20  # 20 tokens are read, and the last is not
    for (tokens, first), text in zip(encoded, texts, strict=True):
        assert tokens.tolist() == run.tokenizer.encode(prompt[cut:] + text).tolist()
        assert first == len(prompt) - cut
    assert scorer.encode_after(prompt[:17], texts)[1] == 0
    with pytest.raises(UserError, match=r"has 21 tokens to read; the model has max_length = 20"):
        scorer.encode_after("", ["a" * 21, "b"])
    with pytest.raises(UserError, match=r"tokens to read; the model has max_length = 20"):
        scorer.encode_after("ab", ["a" * 21, "b"])


def test_what_has_no_probability_is_told() -> None:
    scorer = make_scorer(make_run(GPT, "abc"), 3)
    with pytest.raises(UserError, match="is empty; a probability needs at least one token"):
        scorer.encode_after("ab", [""])
    with pytest.raises(UserError, match=r"has 21 tokens to read; the model has max_length = 20"):
        scorer.encode("a" * 21)
    bert = BERTConfig(num_layers=1, model_dim=12, num_heads=3, mlp_dim=10, max_length=20)
    with pytest.raises(UserError, match=r"a bert with task.kind=.* cannot score text"):
        make_scorer(make_run(bert, "abc"), 3)
    with pytest.raises(ValueError, match="text 0 has the token -1"):
        scorer([(np.array([0, -1, 0], np.int32), 1)])
