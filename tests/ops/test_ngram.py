"""Counting, discounts and look-ups of the n-gram model."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.errors import UserError
from seqmodels.ops.ngram import (
    count_tables,
    empty_tables,
    estimate_discounts,
    find_contexts,
    log_probabilities,
    log_probability,
    recent_tokens,
)
from tests.tolerances import TOLERANCE

B, T, V = 2, 9, 11


@jax.jit
def _read(tables, windows):
    return log_probabilities(tables, find_contexts(tables, windows))


def _counts(*numbers):
    """Counts in which j occurs numbers[j - 1] times."""
    return np.repeat(np.arange(1, len(numbers) + 1), numbers)


def test_discounts_of_chen_and_goodman():
    found = estimate_discounts(_counts(10, 4, 2, 1, 5))
    np.testing.assert_allclose(found, [5 / 9, 7 / 6, 17 / 9], **TOLERANCE["rounding"])


@pytest.mark.parametrize(
    ("numbers", "discount"),
    [
        ((10, 4, 0, 3), 10 / 18),
        ((10, 4, 2, 0), 10 / 18),
        ((2, 1, 9, 2), 2 / 4),  # D2 < 0
        ((0, 4, 2, 1), 0.5),
        ((10, 0, 2, 1), 0.5),
        ((0,), 0.5),
    ],
)
def test_discount_where_counts_are_degenerate(numbers, discount):
    found = estimate_discounts(_counts(*numbers))
    np.testing.assert_allclose(found, np.full(3, discount), **TOLERANCE["rounding"])


@pytest.mark.parametrize("order", [1, 2, 5, 12])
def test_probabilities_sum_to_one(order):
    draw = np.random.default_rng(order)
    tokens = draw.choice(V - 1, 300, p=np.arange(1, V) / np.arange(1, V).sum())
    seen = np.stack([tokens[i : i + 11][::-1] for i in range(280)])
    partly = seen.copy()
    partly[:, 2:] = draw.integers(0, V, (280, 9))
    unseen = np.full((3, 11), V - 1)
    nothing = np.full((3, 11), -1)
    windows = np.concatenate([seen, partly, unseen, nothing])[:, : order - 1]
    tables = jax.tree.map(jnp.asarray, count_tables(tokens, V, order))
    logits = _read(tables, jnp.asarray(windows, jnp.int32))
    assert logits.dtype == jnp.float32
    assert logits.shape == (566, V)
    total = jax.nn.logsumexp(logits, axis=-1)
    np.testing.assert_allclose(total, np.zeros(566), **TOLERANCE["rounding"])
    # Each of them by itself is the same number.
    nodes = find_contexts(tables, jnp.asarray(windows, jnp.int32))
    for token in range(V):
        one = jax.jit(log_probability)(tables, nodes, jnp.full(566, token))
        np.testing.assert_allclose(one, logits[:, token], **TOLERANCE["rounding"])


def test_symbol_that_never_occurs_has_mass():
    tables = jax.tree.map(jnp.asarray, count_tables(np.array([1, 2, 1, 2, 1]), V, 3))
    logits = _read(tables, jnp.array([[1, 2]]))
    assert np.all(np.asarray(logits) > np.log(np.finfo(np.float32).tiny))


def test_start_of_document_counts_once():
    """0 opens two documents and follows 1: two distinct tokens before it, not one and not three."""
    tokens, offsets = np.array([0, 2, 0, 2, 1, 0]), np.array([0, 2, 4, 6])
    unigram = count_tables(tokens, 3, 2, offsets)["unigram"]
    # Counts 2 (start, 1), 1 (start), 1 (0); n1 = 2, n2 = 1: D = 1/2; four in all; 3/8 is uniform.
    np.testing.assert_allclose(unigram, [1 / 2, 1 / 4, 1 / 4], **TOLERANCE["rounding"])


def test_contexts_do_not_cross_documents():
    tokens = np.array([0, 1, 2, 3])
    stream = jax.tree.map(jnp.asarray, count_tables(tokens, V, 2))
    documents = jax.tree.map(jnp.asarray, count_tables(tokens, V, 2, np.array([0, 2, 2, 4])))
    windows = jnp.array([[0], [1], [2]])
    assert (np.asarray(jax.jit(find_contexts)(stream, windows))[:, 1] >= 0).tolist() == [True] * 3
    found = np.asarray(jax.jit(find_contexts)(documents, windows))[:, 1] >= 0
    assert found.tolist() == [True, False, True]


@pytest.mark.parametrize("order", [1, 2, 12])
def test_tables_have_no_empty_array_and_int32(order):
    for tables in (empty_tables(V, order), count_tables(np.array([3]), V, order)):
        assert all(array.size for array in tables.values())
        assert {array.dtype.name for array in tables.values()} == {"int32", "float32"}


def test_vocabulary_of_one():
    tables = jax.tree.map(jnp.asarray, count_tables(np.zeros(5, np.int32), 1, 4))
    logits = _read(tables, jnp.zeros((2, 3), jnp.int32))
    np.testing.assert_allclose(logits, np.zeros((2, 1)), **TOLERANCE["rounding"])


def test_refusals():
    with pytest.raises(UserError, match=r"model\.order is 0"):
        count_tables(np.array([1]), V, 0)
    with pytest.raises(UserError, match="no tokens"):
        count_tables(np.array([], np.int32), V, 2)
    with pytest.raises(ValueError, match="tokens must be"):
        count_tables(np.array([V]), V, 2)
    with pytest.raises(ValueError, match="offsets must rise"):
        count_tables(np.array([1, 2]), V, 2, np.array([0, 1]))


def _windows_by_hand(tokens, segments, last_tokens, last_segment):
    context, history = len(last_tokens), list(last_tokens)
    windows, segment = [], last_segment
    for token, current in zip(tokens, segments, strict=True):
        if current == 0:
            windows.append([-1] * context)
            continue
        if current != segment:
            history = [-1] * context
        history, segment = [*history, token], current
        windows.append(history[::-1][:context])
    return windows, history[len(history) - context :], segment


@pytest.mark.parametrize("seed", range(5))
def test_recent_tokens(seed):
    draw = np.random.default_rng(seed)
    tokens = draw.integers(0, V, (B, T))
    segments = np.cumsum(draw.integers(0, 5, (B, T)) == 0, axis=1) + 2
    segments = np.where(draw.integers(0, 3, (B, T)) == 0, 0, segments)
    last_tokens = np.array([[-1, 5, 6, 7], [-1, -1, -1, -1]])
    last_segment = np.array([2, 0])
    arrays = [jnp.asarray(x, jnp.int32) for x in (tokens, segments, last_tokens, last_segment)]
    windows, carried, segment = jax.jit(recent_tokens)(*arrays)
    for b in range(B):
        wanted = _windows_by_hand(tokens[b], segments[b], last_tokens[b], last_segment[b])
        assert windows[b].tolist() == wanted[0]
        assert carried[b].tolist() == wanted[1]
        assert int(segment[b]) == wanted[2]
