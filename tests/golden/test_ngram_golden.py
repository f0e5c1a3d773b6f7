"""The n-gram against a hand-worked corpus and against dicts written from the equations."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.ops.ngram import count_tables, find_contexts, log_probabilities
from tests.golden.ngram_reference import KneserNey
from tests.tolerances import TOLERANCE

VOCAB_SIZE = 61


@jax.jit
def _log_probabilities(tables, windows):
    return log_probabilities(tables, find_contexts(tables, windows))


def padded(tables, vocab_size):
    """The same tables with spare room, so that all corpora of one order compile once."""
    wide = {}
    for name, array in tables.items():
        if name.startswith("row_slots"):
            wide[name] = jnp.arange(vocab_size, dtype=jnp.int32)
        elif name == "unigram":
            wide[name] = jnp.asarray(array)
        else:
            wide[name] = jnp.asarray(np.pad(array, (0, 8192 - len(array)), "edge"))
    return wide


def distributions(tables, contexts, order):
    """P(. | context) for each context (a list of tokens, oldest first): [len(contexts), V]."""
    windows = np.full((128, order - 1), -1, np.int32)
    for row, context in zip(windows, contexts, strict=False):
        newest_first = list(context)[::-1][: order - 1]
        row[: len(newest_first)] = newest_first
    return np.exp(_log_probabilities(tables, jnp.asarray(windows)))[: len(contexts)]


def expected(reference, contexts):
    return [
        [reference.probability(word, context) for word in range(reference.vocab_size)]
        for context in contexts
    ]


def corpus(seed, num_tokens, num_documents):
    """Zipf-distributed tokens, every other one close to its predecessor, and document offsets."""
    draw = np.random.default_rng(seed)
    tokens = np.minimum(draw.zipf(1.5, num_tokens), VOCAB_SIZE - 1) - 1
    near = (tokens[:-1] + np.minimum(draw.geometric(0.6, num_tokens - 1), 4)) % (VOCAB_SIZE - 1)
    tokens[1:] = np.where(np.arange(1, num_tokens) % 2, near, tokens[1:])
    cuts = np.sort(draw.integers(0, num_tokens + 1, num_documents - 1))
    return tokens.astype(np.int32), np.concatenate([[0], cuts, [num_tokens]])


def test_worked_by_hand():
    """'abac': a follows b and the start, b and c follow a; D = 1/2 in both orders."""
    tables = count_tables(np.array([0, 1, 0, 2]), 3, 2)
    found = distributions(padded(tables, 3), [[], [0], [1], [2]], 2)
    wanted = [[0.5, 0.25, 0.25], [0.25, 0.375, 0.375], [0.75, 0.125, 0.125], [0.5, 0.25, 0.25]]
    np.testing.assert_allclose(found, wanted, **TOLERANCE["rounding"])


@pytest.mark.parametrize("num_documents", [1, 7])
@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_equals_reference(order, num_documents):
    tokens, offsets = corpus(order, 1500, num_documents)
    documents = [tokens[a:b] for a, b in itertools.pairwise(offsets)]
    reference = KneserNey(documents, VOCAB_SIZE, order)
    tables = count_tables(tokens, VOCAB_SIZE, order, offsets if num_documents > 1 else None)
    draw = np.random.default_rng(order)
    seen = [tokens[max(0, i - order) : i].tolist() for i in range(0, 1500, 19)]
    random = [draw.integers(0, VOCAB_SIZE, order - 1).tolist() for _ in range(40)]
    contexts = seen + random + [[], [VOCAB_SIZE - 1], [1] * order]
    np.testing.assert_allclose(
        distributions(padded(tables, VOCAB_SIZE), contexts, order),
        expected(reference, contexts),
        **TOLERANCE["reference"],
    )


def test_reference_corpora_use_all_three_discounts():
    """Otherwise the comparison above would not test D1, D2 and D3."""
    tokens, _ = corpus(4, 1500, 1)
    reference = KneserNey([tokens], VOCAB_SIZE, 4)
    assert all(reference.uses_three_discounts(k) for k in range(4))


@pytest.mark.parametrize(
    "tokens",
    [[3], [3, 3], [3, 4], [3] * 40, list(range(60)), [0, 1] * 20],
    ids=["one", "two_equal", "two", "all_equal", "each_once", "alternating"],
)
@pytest.mark.parametrize("order", [1, 3, 12])
def test_degenerate_corpora(tokens, order):
    reference = KneserNey([tokens], VOCAB_SIZE, order)
    contexts = [tokens[:i] for i in range(len(tokens) + 1)] + [[60, 3], [4]]
    tables = padded(count_tables(np.array(tokens), VOCAB_SIZE, order), VOCAB_SIZE)
    found = distributions(tables, contexts, order)
    np.testing.assert_allclose(found, expected(reference, contexts), **TOLERANCE["reference"])
    assert np.all(found > 0)


@pytest.mark.grid
def test_many_nodes_times_many_tokens():
    """V times the nodes exceeds int32: neither counting nor the look-up inside jit may wrap."""
    vocab_size, order = 50_000, 3
    tokens = np.random.default_rng(0).integers(0, vocab_size, 100_000).astype(np.uint16)
    tables = count_tables(tokens, vocab_size, order)
    assert vocab_size * len(tables["backoff"]) > np.iinfo(np.int32).max
    reference = KneserNey([tokens], vocab_size, order)
    contexts = [tokens[i - 2 : i].tolist() for i in (2, 5_000, 99_999)] + [[49_999, 49_998], [7]]
    tables = jax.tree.map(jnp.asarray, tables)
    found = distributions(tables, contexts, order)
    for row, context in zip(found, contexts, strict=True):
        words = np.concatenate([tokens[:40], list(reference.counts.get(tuple(context), {}))])
        wanted = [reference.probability(int(word), context) for word in words]
        np.testing.assert_allclose(row[words.astype(int)], wanted, **TOLERANCE["reference"])
    windows = np.stack([tokens[1:-1], tokens[:-2]], axis=-1).astype(np.int32)
    nodes = jax.jit(find_contexts)(tables, jnp.asarray(windows))
    assert np.all(np.asarray(nodes) >= 0)
    np.testing.assert_array_equal(tables["node_tokens"][nodes[:, 2]], windows[:, 1])
