"""The n-gram model as a function of a chunk and a carry, and its results on real text."""

from __future__ import annotations

import dataclasses
import itertools
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.models import NgramConfig
from seqmodels.models.ngram import Ngram, fit_ngram
from seqmodels.types import DataSpec, TokenInput, VocabOutput
from tests.tolerances import TOLERANCE

B, T, V = 2, 5, 11
SPEC = DataSpec(TokenInput(V), VocabOutput(V))


@dataclasses.dataclass
class Split:
    tokens: np.ndarray
    offsets: np.ndarray


def make(order, seed=0):
    """A model and variables fitted to tokens that often repeat."""
    draw = np.random.default_rng(seed)
    tokens = np.cumsum(draw.choice([1, 1, 1, 2, 5], 400)) % (V - 1)
    config = NgramConfig(order=order)
    params = fit_ngram(config, SPEC, tokens.astype(np.int32))
    return Ngram(config, SPEC), {"params": jax.tree.map(jnp.asarray, params)}


def sentences(seed=0):
    """Inputs as in the corpus of `make`: [B, T]."""
    draw = np.random.default_rng(seed)
    return jnp.asarray(np.cumsum(draw.choice([1, 1, 1, 2], (B, T)), axis=1) % (V - 1), jnp.int32)


def apply_jitted(model):
    def call(variables, inputs, carry, segment_ids):
        return model.apply(variables, inputs, carry, segment_ids=segment_ids, train=False)

    return jax.jit(call)


def assert_trees_equal(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


RAGGED = jnp.array([[1, 2, 2, 2, 0], [3, 0, 3, 3, 5]], jnp.int32)


@pytest.mark.parametrize(
    ("order", "segment_ids"),
    [(1, RAGGED), (4, None), (4, RAGGED), (12, RAGGED)],
    ids=["1_ragged", "4_plain", "4_ragged", "12_ragged"],
)
def test_cutting_changes_nothing(order, segment_ids):
    model, variables = make(order)
    call, inputs = apply_jitted(model), sentences()
    whole, none = call(variables, inputs, None, segment_ids)
    assert none is None
    assert whole.shape == (B, T, order)
    start = model.apply(variables, B, T, method="initial_carry")
    streamed, end = call(variables, inputs, start, segment_ids)
    assert_trees_equal(streamed, whole)
    cuts = [[0, cut, T] for cut in range(1, T)] + [list(range(T + 1))]
    for cut in cuts:
        carry, pieces = start, []
        for a, b in itertools.pairwise(cut):
            ids = None if segment_ids is None else segment_ids[:, a:b]
            piece, carry = call(variables, inputs[:, a:b], carry, ids)
            pieces.append(piece)
        assert_trees_equal(jnp.concatenate(pieces, axis=1), whole)
        assert_trees_equal(carry, end)


def test_segments_see_nothing_of_each_other_or_of_padding():
    model, variables = make(5)
    call, inputs = apply_jitted(model), sentences()
    whole, _ = call(variables, inputs, None, RAGGED)
    other, _ = call(variables, jnp.where(RAGGED == 0, V - 1, inputs), None, RAGGED)
    assert_trees_equal(whole, other)
    alone, _ = call(variables, inputs[:, 1:4], None, None)
    assert_trees_equal(whole[0, 1:4], alone[0])
    # The second row's segment 3 goes on behind its padding as if there were none.
    real = jnp.array([0, 2, 3])
    together, _ = call(variables, inputs[:, real], None, None)
    assert_trees_equal(whole[1, real], together[1])
    assert np.all(np.asarray(whole[1, 3, :3]) >= 0)


def test_padding_leaves_the_carry():
    model, variables = make(4)
    call, inputs = apply_jitted(model), sentences()
    _, before = call(variables, inputs, model.initial_carry(B, T), RAGGED)
    _, after = call(variables, inputs, before, jnp.zeros_like(RAGGED))
    assert_trees_equal(before, after)


def test_without_ids_the_segment_of_the_carry_goes_on():
    model, variables = make(4)
    call, inputs = apply_jitted(model), sentences()
    _, carry = call(variables, inputs, model.initial_carry(B, T), jnp.full_like(RAGGED, 6))
    plain = call(variables, inputs, carry, None)
    assert_trees_equal(plain, call(variables, inputs, carry, jnp.full_like(RAGGED, 6)))
    np.testing.assert_array_equal(plain[1]["segments"], [6, 6])


def test_rows_follow_the_carry():
    """Beam search: indexing axis 0 of every leaf moves the rows."""
    model, variables = make(4)
    call, inputs = apply_jitted(model), sentences()
    _, carry = call(variables, inputs, model.initial_carry(B, T), None)
    swapped = jax.tree.map(lambda leaf: leaf[::-1], carry)
    features, _ = call(variables, inputs[:, :1], carry, None)
    moved, _ = call(variables, inputs[::-1, :1], swapped, None)
    assert_trees_equal(features[::-1], moved)


@pytest.mark.parametrize("order", [1, 3])
def test_init_is_uniform_and_readout_takes_any_leading_axes(order):
    model = Ngram(NgramConfig(order=order), SPEC)

    def call_and_read(module, inputs):
        return module.readout(module(inputs, train=False)[0])

    @jax.jit
    def initialize(key):
        return model.init(key, jnp.zeros((1, 2), jnp.int32), method=call_and_read)

    variables = initialize(jax.random.key(0))
    features, _ = apply_jitted(model)(variables, sentences(), None, None)
    logits = model.apply(variables, features, method="readout")
    np.testing.assert_allclose(logits, np.full((B, T, V), -np.log(V)), **TOLERANCE["rounding"])
    flat = model.apply(variables, features[:, -1], method="readout")
    assert_trees_equal(flat, logits[:, -1])


def test_same_shape_compiles_once():
    model, variables = make(5)
    call = apply_jitted(model)
    _, carry = call(variables, sentences(), model.initial_carry(B, T), RAGGED)
    call(variables, sentences(1), carry, RAGGED)
    assert call._cache_size() == 1


def test_fit_takes_a_split_as_one_stream():
    tokens, offsets = np.array([0, 1, 2, 3], np.uint8), np.array([0, 2, 4])
    config, split = NgramConfig(order=3), Split(tokens, offsets)
    model = Ngram(config, SPEC)
    assert_trees_equal(model.fit(split), fit_ngram(config, SPEC, tokens))
    by_document = fit_ngram(config, SPEC, tokens, offsets)
    assert len(by_document["backoff"]) < len(model.fit(split)["backoff"])


def tiny_shakespeare():
    directory = os.environ.get("SEQMODELS_DATA_DIR")
    if directory is None:
        pytest.skip("SEQMODELS_DATA_DIR is not set: no real data")
    path = Path(directory) / "data" / "tiny_shakespeare" / "input.txt"
    if not path.exists():
        pytest.skip(f"no data/tiny_shakespeare/input.txt under {directory}")
    symbols, tokens = np.unique(np.frombuffer(path.read_bytes(), np.uint8), return_inverse=True)
    return len(symbols), tokens.astype(np.int32)


@pytest.mark.parametrize(("order", "nats"), [(6, 1.53), (7, 1.52)])
def test_tiny_shakespeare(order, nats):
    """nanoGPT's split, streamed; every target 1..N-1 of the 111,540 characters held out."""
    vocab_size, tokens = tiny_shakespeare()
    training, held_out = tokens[:1_003_854], tokens[1_003_854:]
    config = NgramConfig(order=order)
    spec = DataSpec(TokenInput(vocab_size), VocabOutput(vocab_size))
    model = Ngram(config, spec)
    params = jax.tree.map(jnp.asarray, fit_ngram(config, spec, training))

    @jax.jit
    def loss_of_chunk(params, carry, inputs, targets):
        variables = {"params": params}
        ids = (targets >= 0).astype(jnp.int32)
        features, carry = model.apply(variables, inputs, carry, segment_ids=ids, train=False)
        logits = model.apply(variables, features, method="readout")
        chosen = jnp.take_along_axis(logits, jnp.maximum(targets, 0)[..., None], -1)[..., 0]
        return carry, -jnp.sum(chosen * ids)

    carry, total, length = model.initial_carry(1, 0), 0.0, 4096
    for begin in range(0, len(held_out) - 1, length):
        targets = held_out[begin + 1 : begin + 1 + length]
        padding = (0, length - len(targets))
        inputs = np.pad(held_out[begin : begin + len(targets)], padding)
        targets = np.pad(targets, padding, constant_values=-1)
        carry, loss = loss_of_chunk(
            params, carry, jnp.asarray(inputs[None]), jnp.asarray(targets[None])
        )
        total += float(loss)
    assert total / (len(held_out) - 1) <= nats
