"""Alignment against float64 numpy, and properties of all its scores and scopes."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.recurrent import AlignmentScope, AlignmentScore
from seqmodels.layers.alignment import Alignment
from tests.golden.seq2seq_reference import align
from tests.tolerances import TOLERANCE

B, T, S, N, M, A, D = 3, 4, 7, 5, 6, 8, 2
LENGTHS = (7, 4, 0)
MASK = np.arange(S)[None] < np.array(LENGTHS)[:, None]
EVERY = [(score, scope) for score in AlignmentScore for scope in AlignmentScope]


def make(score: AlignmentScore, scope: AlignmentScope) -> tuple[Alignment, Any, Any, Any]:
    """The layer, its parameters, queries [B, T, N] and states [B, S, M or N]."""
    draw = np.random.default_rng(5)
    width = N if score in (AlignmentScore.DOT, AlignmentScore.SCALED_DOT) else M
    layer = Alignment(score, scope, N, width, attention_dim=A, local_window=D)
    queries = draw.normal(size=(B, T, N)).astype(np.float32)
    states = draw.normal(size=(B, S, width)).astype(np.float32)

    def run(layer: Alignment, queries: Any, states: Any, mask: Any) -> Any:
        return layer(queries, layer.prepare(states), mask)

    given = tuple(map(jnp.asarray, (queries, states, MASK)))
    init = jax.jit(lambda key: layer.init(key, *given, method=run))
    params = nn.unbox(init(jax.random.key(0))).get("params", {})
    params = jax.tree.map(lambda p: p + 0.4 * draw.normal(size=p.shape).astype(np.float32), params)
    call = jax.jit(lambda p, q, h, m: layer.apply({"params": p}, q, h, m, method=run))
    return call, params, queries, states


@pytest.mark.parametrize("score, scope", EVERY)
def test_contexts_and_weights_are_the_equations_in_float64(
    score: AlignmentScore, scope: AlignmentScope
) -> None:
    """Weights of padding and of a row without a source are exactly 0; one query equals a row."""
    call, params, queries, states = make(score, scope)
    contexts, weights = call(params, queries, states, MASK)
    exact = jax.tree.map(lambda p: np.asarray(p, np.float64), params)
    half_width = D if scope == AlignmentScope.LOCAL_P else None
    for b, length in enumerate(LENGTHS):
        assert not np.asarray(weights[b, :, length:]).any()
        for t in range(T if length else 0):
            row = list(states[b, :length].astype(np.float64))
            wanted = align(score, exact, queries[b, t].astype(np.float64), row, half_width)
            got = (contexts[b, t], weights[b, t, :length])
            for ours, theirs in zip(got, wanted, strict=True):
                np.testing.assert_allclose(ours, theirs, **TOLERANCE["reference"])
    assert not np.asarray(contexts[2]).any()
    one = call(params, queries[:, 1], states, MASK)
    np.testing.assert_allclose(one[0], contexts[:, 1], **TOLERANCE["rounding"])
    np.testing.assert_allclose(one[1], weights[:, 1], **TOLERANCE["rounding"])


@pytest.mark.parametrize("score, scope", EVERY)
def test_gradients_are_finite_and_none_reaches_padding(
    score: AlignmentScore, scope: AlignmentScope
) -> None:
    call, params, queries, states = make(score, scope)
    draw = np.random.default_rng(7).normal(size=(B, T, states.shape[-1])).astype(np.float32)
    loss = lambda p, q, h: jnp.sum(jnp.asarray(draw) * call(p, q, h, jnp.asarray(MASK))[0])
    grads = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(params, queries, states)
    for leaf in jax.tree.leaves(grads):
        assert np.isfinite(leaf).all()
    assert all(np.asarray(leaf).any() for leaf in jax.tree.leaves(grads))
    assert not np.asarray(grads[2])[~MASK].any()
    assert np.asarray(grads[2])[MASK].any(axis=-1).sum() >= LENGTHS[1]
    assert not np.asarray(grads[1][2]).any()


@pytest.mark.parametrize("score", AlignmentScore)
def test_nan_reaches_the_queries_that_see_it_alone(score: AlignmentScore) -> None:
    """States of padding, and a query and a state that no other query sees, in the gradient too."""
    call, params, queries, states = make(score, AlignmentScope.LOCAL_P)
    mask = np.broadcast_to(MASK[:, None], (B, T, S)).copy()
    mask[:2, :, 1] = np.arange(T) == 2
    clean = np.array([0, 1, 3])
    loss = lambda *x: jnp.sum(jnp.sin(call(*x, jnp.asarray(mask))[0][:, clean]))
    differentiate = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))
    wanted = differentiate(params, queries, states)
    bad = ~mask[:, clean].any(axis=1)  # [B, S]
    states = np.where(bad[..., None], np.float32(np.inf), states)
    queries = np.where((np.arange(T) == 2)[None, :, None], np.float32(np.nan), queries)
    got = differentiate(params, queries, states)
    jax.tree.map(np.testing.assert_array_equal, got, wanted)
    contexts, weights = call(params, queries, states, mask)
    assert np.isnan(contexts[:2, 2]).all()
    assert np.isnan(weights[:2, 2]).all()
    assert not np.asarray(contexts[2]).any()


@pytest.mark.parametrize("score", [AlignmentScore.ADDITIVE, AlignmentScore.DOT])
def test_a_source_serves_groups_of_rows(score: AlignmentScore) -> None:
    """As if it were repeated for each of them; a query [B, N] or [B, T, N]."""
    call, params, queries, states = make(score, AlignmentScope.GLOBAL)
    many = np.concatenate([queries + n for n in range(2)], axis=1).reshape(2 * B, T, -1)
    repeated = (np.repeat(x, 2, axis=0) for x in (states, MASK))
    wanted = call(params, many, *repeated)
    for at in (slice(None), 1):
        got = call(params, many[:, at], states, MASK)
        for ours, theirs in zip(got, wanted, strict=True):
            np.testing.assert_allclose(ours, theirs[:, at], **TOLERANCE["rounding"])


@pytest.mark.parametrize("scope", AlignmentScope)
def test_padding_in_the_middle_is_as_if_it_were_not_there(scope: AlignmentScope) -> None:
    """local_p counts real tokens, from 0."""
    call, params, queries, states = make(AlignmentScore.GENERAL, scope)
    mask = np.array([[True, False, True, True, False, True, False]] * B)
    contexts, weights = call(params, queries, states, mask)
    held = states.copy()
    held[:, :4] = states[:, mask[0]]
    wanted = call(params, queries, held, np.arange(S)[None].repeat(B, 0) < 4)
    np.testing.assert_allclose(contexts, wanted[0], **TOLERANCE["rounding"])
    np.testing.assert_allclose(weights[:, :, mask[0]], wanted[1][:, :, :4], **TOLERANCE["rounding"])


def test_each_query_may_have_a_mask_of_its_own() -> None:
    call, params, queries, states = make(AlignmentScore.ADDITIVE, AlignmentScope.LOCAL_P)
    masks = np.random.default_rng(2).random((B, T, S)) < 0.6
    got = call(params, queries, states, masks)
    for t in range(T):
        wanted = call(params, queries[:, t], states, masks[:, t])
        for ours, theirs in zip(got, wanted, strict=True):
            np.testing.assert_allclose(ours[:, t], theirs, **TOLERANCE["rounding"])


def test_large_scores_do_not_overflow() -> None:
    call, params, queries, states = make(AlignmentScore.DOT, AlignmentScope.GLOBAL)
    contexts, weights = call(params, queries * 1e4, states, MASK)
    assert np.isfinite(contexts).all()
    np.testing.assert_allclose(weights[:2].sum(axis=-1), 1.0, **TOLERANCE["rounding"])


def test_a_dot_product_needs_one_width() -> None:
    layer = Alignment(AlignmentScore.DOT, AlignmentScope.GLOBAL, N, M, A, D)
    arrays = (jnp.zeros((B, N)), {"states": jnp.zeros((B, S, M))}, jnp.asarray(MASK))
    with pytest.raises(ValueError, match="one width"):
        layer.init(jax.random.key(0), *arrays)
