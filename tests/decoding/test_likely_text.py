"""The most probable continuations have the probabilities that the scorer gives them."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from seqmodels.config.decoding import Beam
from seqmodels.config.errors import UserError
from seqmodels.decoding.likely_text import find_likely_texts
from seqmodels.runs.generate import make_scorer
from tests.decoding.test_scoring import RECURRENT
from tests.evaluation.runs import make_run
from tests.tolerances import TOLERANCE


def test_a_text_is_as_probable_as_it_says() -> None:
    run = make_run(RECURRENT, " abc")
    find = functools.partial(find_likely_texts, run.model, run.params, run.tokenizer, "ab")
    found = find(" ", Beam(4, 3, 0.5, min_tokens=2, max_tokens=5))
    assert len({one.text for one in found}) == 3
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    scorer = make_scorer(run, 3)
    scores = scorer(scorer.encode_after("ab", [one.text[2:] for one in found])[0])
    np.testing.assert_allclose(
        [one.log_probability for one in found], scores, **TOLERANCE["decoding"]
    )
    for one in found:
        assert one.text.startswith("ab") and one.text.find(" ") == len(one.text) - 1
        assert 2 <= len(one.text) - 3 <= 5
    with pytest.raises(UserError, match=r"--end='ab': is 2 tokens of the run's character tokeni"):
        find("ab", Beam())
