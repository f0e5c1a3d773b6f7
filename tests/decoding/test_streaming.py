"""A text without end: no bit depends on the cuts, and the scores are those of the whole text."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from seqmodels.decoding.streaming import StreamScorer
from tests.decoding.test_unroll import V, built, prompt, whole_sequence
from tests.tolerances import TOLERANCE

START = np.array([3], np.int32)


@pytest.mark.parametrize("kind", ["recurrent", "ngram"])
def test_scores_of_any_cut_have_the_same_bits_and_are_those_of_the_text(kind: str) -> None:
    model, params, _ = built(kind)
    text = prompt(600)  # longer than a block
    cuts: dict[str, list[int]] = {
        "whole": [],
        "single": list(range(1, 40)),
        "ragged": [1, 2, 5, 5, 255, 256, 257, 513, 599],
    }
    found: dict[str, Any] = {}
    for name, at in cuts.items():
        scorer = StreamScorer(model, params, START)
        found[name] = np.concatenate([scorer(part) for part in np.split(text, at)])
    for scores in found.values():
        np.testing.assert_array_equal(scores.view(np.int32), found["whole"].view(np.int32))
    logits = np.asarray(whole_sequence(kind)(np.concatenate([START, text[:-1]])))
    expected = np.asarray(jax.nn.log_softmax(logits, axis=-1))[np.arange(600), text]
    np.testing.assert_allclose(found["whole"], expected, **TOLERANCE["decoding"])


def test_what_cannot_be_read_without_end_is_refused() -> None:
    model, params, _ = built("gpt")
    with pytest.raises(ValueError, match="exceeds the 8 positions"):
        StreamScorer(model, params, START)
    model, params, _ = built("recurrent")
    with pytest.raises(ValueError, match="needs one before it"):
        StreamScorer(model, params, START[:0])
    with pytest.raises(ValueError, match=f"has the token {V}"):
        StreamScorer(model, params, START)(np.array([V]))
