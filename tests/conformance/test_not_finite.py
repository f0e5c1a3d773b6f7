"""Law 1 where something is NaN, or a token is outside the vocabulary: it stays where it is.

Padding may hold anything, and a document moves no other, in the outputs and in the gradients.
"""

from __future__ import annotations

import jax
import numpy as np
import pytest

from tests.conformance.case import case
from tests.conformance.cases import (
    CAUSAL,
    CUT,
    PACKED,
    PADDED,
    SOURCE,
    TRAINED,
    B,
    T,
    spoiled,
)
from tests.conformance.test_both_ways import PER_STEP, POOLED, SEQUENCES
from tests.conformance.test_models import stream
from tests.tolerances import TOLERANCE


@pytest.mark.parametrize("name", CAUSAL)
def test_what_is_at_padding_reaches_nothing_not_even_nan(name: str) -> None:
    """Nor does it reach a gradient; and no token of the vocabulary is looked up in its place."""
    c = case(name)
    real, inputs, source = c.ids > 0, spoiled(c.inputs, c.ids == 0), None
    if c.spec.source is not None:
        source = spoiled(SOURCE, c.own[1] == 0)
    before = c.run(c.inputs, c.ids)
    after = c.run(inputs, c.ids, source=(source, c.own[1]))
    np.testing.assert_array_equal(after[real], before[real])
    if name in TRAINED:
        weights = np.random.default_rng(2).normal(size=before.shape).astype(np.float32)
        weights *= real.reshape(B, T, *[1] * (before.ndim - 2))
        wanted = c.gradient(weights, c.ids, c.own[1])
        got = c.gradient(weights, c.ids, c.own[1], inputs, source)
        jax.tree.map(np.testing.assert_array_equal, got, wanted)
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(got))


@pytest.mark.parametrize("name", CAUSAL)
def test_nan_in_a_document_reaches_no_other(name: str) -> None:
    """In the parallel form and through the carry; of its own document it reaches what follows."""
    c = case(name)
    before = c.run(c.inputs, c.ids)
    for row, place in ((0, 1), (0, T - 2), (1, 3)):
        at = np.zeros((B, T), bool)
        at[row, place] = True
        inputs = spoiled(c.inputs, at)
        own = np.zeros((B, T), bool)
        own[row] = c.ids[row] == c.ids[row, place]
        clean = (c.ids > 0) & ~(own & (np.arange(T) >= place))
        whole = c.run(inputs, c.ids)
        streamed = stream(c, inputs, c.ids, (2, CUT - 2, T - CUT), width=CUT)
        np.testing.assert_array_equal(whole[clean], before[clean])
        np.testing.assert_allclose(streamed[clean], before[clean], **TOLERANCE["chunking"])
        real = c.ids > 0
        np.testing.assert_array_equal(np.isnan(streamed[real]), np.isnan(whole[real]))
        if name in TRAINED:
            assert np.isnan(whole[row, place]).all()


@pytest.mark.parametrize("name", SEQUENCES)
def test_what_is_at_padding_reaches_nothing_from_either_side(name: str) -> None:
    c = case(name)
    before = c.run(c.inputs, PADDED)
    seen = np.ones(B, bool) if name in POOLED else PADDED > 0
    inputs = spoiled(c.inputs, PADDED == 0)
    np.testing.assert_array_equal(c.run(inputs, PADDED)[seen], before[seen])
    weights = np.random.default_rng(2).normal(size=before.shape).astype(np.float32)
    weights[~seen] = 0
    got, wanted = (c.gradient(weights, PADDED, None, x) for x in (inputs, c.inputs))
    jax.tree.map(np.testing.assert_array_equal, got, wanted)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(got))


@pytest.mark.parametrize("name", PER_STEP)
def test_nan_in_a_document_reaches_no_other_both_ways(name: str) -> None:
    c = case(name)
    before = c.run(c.inputs, PACKED)
    for row, place in ((0, 1), (0, T - 2), (1, 3)):
        at = np.zeros((B, T), bool)
        at[row, place] = True
        after = c.run(spoiled(c.inputs, at), PACKED)
        own = (PACKED[row, place] == PACKED) & at.any(axis=1, keepdims=True)
        others = (PACKED > 0) & ~own
        np.testing.assert_array_equal(after[others], before[others])
        assert np.isnan(after[own]).all()
