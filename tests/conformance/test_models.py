"""Law 1, over every model of the registry: a model is a function of a chunk and a carry.

Models that look both ways have no carry: test_both_ways.py has what holds for them.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.interpreters.partial_eval import dce_jaxpr

from seqmodels import registry
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.types import VocabOutput
from tests.conformance.case import Calls, Case, case
from tests.conformance.cases import (
    ALL,
    BOUNDED,
    CAUSAL,
    CAUSAL_KINDS,
    CONFIGS,
    CUT,
    MEMORYLESS,
    RECTIFIED,
    SOURCE,
    TRAINED,
    WINDOWED,
    B,
    S,
    T,
    edited,
    has_segments,
    spec_of,
)
from tests.tolerances import TOLERANCE


def stream(
    c: Case, tokens: Any, ids: Any, pieces: tuple[int, ...], width: int | None = None
) -> np.ndarray:
    """Outputs of a sequence that was fed in pieces.

    Args:
      width: every piece is padded to it on the right, so that one program serves them all.
    """
    carry, outputs, start = c.initial_carry(), [], 0
    for size in pieces:
        part = slice(start, start + size)
        chunk, chunk_ids = tokens[:, part], None if ids is None else ids[:, part]
        if width is not None:
            chunk, chunk_ids = padded(chunk, width), padded(chunk_ids, width)
        out, carry = c.step(chunk, carry, chunk_ids)
        outputs.append(np.asarray(out)[:, :size])
        start += size
    return np.concatenate(outputs, axis=1)


def padded(values: np.ndarray, width: int) -> np.ndarray:
    """Right-padded along time to `width`."""
    return np.pad(values, [(0, 0), (0, width - values.shape[1]), *[(0, 0)] * (values.ndim - 2)])


def cuts(length: int) -> Iterator[tuple[int, ...]]:
    for marks in itertools.product([False, True], repeat=length - 1):
        ends = [n + 1 for n, mark in enumerate(marks) if mark] + [length]
        yield tuple(b - a for a, b in zip([0, *ends], ends, strict=False))


def documents(ids: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """(row, places) of every document."""
    rows = [(row, n) for row in range(len(ids)) for n in np.unique(ids[row]) if n]
    return [(row, np.flatnonzero(ids[row] == n)) for row, n in rows]


def alone(values: np.ndarray, found: list[tuple[int, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Each document at the begin of a row of its own, and the rows' ids."""
    rows, ids = np.zeros_like(values), np.zeros(values.shape[:2], np.int32)
    for n, (row, places) in enumerate(found):
        rows[n, : len(places)] = values[row, places]
        ids[n, : len(places)] = 1
    return rows, ids


def test_every_registered_model_has_a_config_here() -> None:
    assert {name: config.kind for name, config in CONFIGS.items()} == {
        name: name for name in registry.MODELS
    }


@pytest.mark.parametrize("name", CAUSAL)
def test_outputs_have_shape_and_dtype_and_move_with_the_inputs(name: str) -> None:
    c = case(name)
    outputs = c.run(c.inputs)
    assert outputs.shape[:2] == (B, T)
    if isinstance(c.spec.outputs, VocabOutput):
        assert outputs.shape == (B, T, c.spec.outputs.vocab_size)
    assert outputs.dtype == np.float32
    assert np.isfinite(outputs).all()
    if name != "unigram":
        assert (outputs[:, 0] != outputs[:, 1]).any()


@pytest.mark.parametrize("name", TRAINED)
def test_parameters_are_float32_boxed_and_a_function_of_the_key(name: str) -> None:
    boxes = jax.tree.leaves(
        case(name).boxed, is_leaf=lambda x: isinstance(x, nn.LogicallyPartitioned)
    )
    for box in boxes:
        assert isinstance(box, nn.LogicallyPartitioned)
        assert len(box.names) == box.value.ndim
        assert box.value.dtype == jnp.float32


# The key's bias adds the same to all scores of a query, which softmax takes away; turned by a
# position, as with rotary ones, it does not.
QKV, MEMORY = "['qkv']['bias']", "['memory_key_value']['bias']"
WITHOUT_GRADIENT = {
    **{
        (name, QKV): lambda gradient: gradient[:, :, -2]
        for name in ALL
        if name.startswith(("gpt remat, untied", "bert", "vit", "transformer", "patch"))
        and "rotary" not in name
    },
    **{
        (name, MEMORY): lambda gradient: gradient[:, :, 0]
        for name in ALL
        if name.startswith("transformer")
    },
    ("aaren", "['scores']['key_bias']"): lambda gradient: gradient[:],
}


@pytest.mark.parametrize("name", TRAINED)
def test_every_parameter_gets_a_finite_gradient_that_is_not_zero(name: str) -> None:
    c = case(name)

    weights = np.random.default_rng(2).normal(size=c.run(c.inputs).shape).astype(np.float32)
    # One document per row, so that every token of the source is looked at.
    ids = np.ones((B, T), np.int32) if has_segments(name) else None
    source_ids = None if c.spec.source is None else np.ones_like(SOURCE)
    gradients = c.gradient(weights, ids, source_ids)
    for path, gradient in jax.tree.leaves_with_path(gradients):
        place, gradient = jax.tree_util.keystr(path), np.array(gradient)
        assert np.isfinite(gradient).all(), place
        for (exempt, end), part in WITHOUT_GRADIENT.items():
            if name == exempt and place.endswith(end):
                np.testing.assert_allclose(part(gradient), 0.0, **TOLERANCE["gradient"])
                part(gradient)[...] = 1.0
        assert gradient.any() if name in RECTIFIED else gradient.all(), place


@pytest.mark.parametrize("name", CAUSAL)
def test_every_cut_gives_the_same(name: str) -> None:
    c = case(name)
    wanted, valid = c.run(c.inputs, c.ids)[:, :CUT], c.ids[:, :CUT] > 0
    for pieces in cuts(CUT):
        got = stream(c, c.inputs, c.ids, pieces, width=CUT)
        np.testing.assert_allclose(
            got[valid], wanted[valid], **TOLERANCE["chunking"], err_msg=str(pieces)
        )


@pytest.mark.parametrize("name", CAUSAL)
def test_chunks_of_different_widths_give_the_same(name: str) -> None:
    """Without padding and segment ids: chunks of 1 and 3 tokens."""
    c = case(name)
    whole = c.run(c.inputs)
    for pieces in ((1,) * T, (3, 1, 3)):
        got = stream(c, c.inputs, None, pieces)
        np.testing.assert_allclose(got, whole, **TOLERANCE["chunking"], err_msg=str(pieces))


@pytest.mark.parametrize("name", [n for n in CAUSAL_KINDS if n in TRAINED])
def test_gradients_flow_through_the_carry(name: str) -> None:
    """A loss over three chunks has the gradient of the same loss over the whole."""
    c = case(name)
    weights = np.random.default_rng(2).normal(size=c.run(c.inputs).shape).astype(np.float32)
    weights *= (c.ids > 0)[..., None]
    starts, ends, width = (0, 2, 3), (2, 3, T), T - 3
    chunks = [
        np.stack([padded(x[:, a:b], width) for a, b in zip(starts, ends, strict=True)])
        for x in (c.inputs, c.ids, weights.reshape(B, T, -1))
    ]

    def chunked(params: Any) -> Any:
        def advance(carry: Any, chunk: Any) -> Any:
            inputs, ids, weights = chunk
            outputs, carry = c.call(params, inputs, carry, ids)
            return carry, jnp.sum(weights * outputs)

        return jnp.sum(jax.lax.scan(advance, c.carry_of(params), chunks)[1])

    got, wanted = (
        jax.jit(jax.grad(chunked))(c.params),
        c.gradient(weights, c.ids, c.own[1]),
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, **TOLERANCE["gradient"]), got, wanted
    )


@pytest.mark.grid  # the first of the chunks above is a prefix
@pytest.mark.parametrize("name", CAUSAL)
@pytest.mark.parametrize("length", [3, 1])
def test_a_prefix_alone_gives_its_own_outputs(name: str, length: int) -> None:
    c = case(name)
    got, wanted = c.run(c.inputs[:, :length]), c.run(c.inputs)[:, :length]
    np.testing.assert_allclose(got, wanted, **TOLERANCE["chunking"])


@pytest.mark.parametrize("name", CAUSAL)
def test_a_token_moves_nothing_before_it(name: str) -> None:
    c = case(name)
    before = c.run(c.inputs)
    for place in range(1, T) if name in CONFIGS else (1, T - 1):
        after = c.run(edited(c.inputs, 0, place))
        np.testing.assert_array_equal(after[:, :place], before[:, :place])
        if name != "unigram":
            assert (after[0, place] != before[0, place]).any()
        if name not in MEMORYLESS and place + 1 < T:
            assert (after[0, place + 1 :] != before[0, place + 1 :]).any()


@pytest.mark.parametrize("name", CAUSAL)
def test_packed_documents_equal_documents_alone(name: str) -> None:
    c = case(name)
    packed = c.run(c.inputs, c.ids)
    found = documents(c.ids)
    for half in (0, 1):
        inputs, ids = alone(c.inputs, found[half::2])
        source = c.own if c.spec.source is None else alone(SOURCE, documents(c.own[1])[half::2])
        marked = c.run(inputs, ids, source=source)
        unmarked = c.run(inputs, source=source)
        for n, (row, places) in enumerate(found[half::2]):
            wanted = packed[row, places]
            for got in (marked[n], unmarked[n]):
                np.testing.assert_allclose(
                    got[: len(places)], wanted, **TOLERANCE["chunking"], err_msg=str((row, places))
                )


@pytest.mark.parametrize("name", CAUSAL_KINDS)
def test_a_document_and_padding_never_move_another_document(name: str) -> None:
    c = case(name)
    before = c.run(c.inputs, c.ids)
    for row, place in itertools.product(range(B), range(T)):
        after = c.run(edited(c.inputs, row, place), c.ids)
        others = (c.ids > 0) & ((c.ids[row, place] != c.ids) | (np.arange(B)[:, None] != row))
        np.testing.assert_array_equal(after[others], before[others])
        if c.ids[row, place]:
            assert (after[row, place] != before[row, place]).any()


@pytest.mark.parametrize("name", [n for n in CAUSAL if spec_of(n).source is not None])
def test_a_source_moves_its_document_and_nothing_else(name: str) -> None:
    c = case(name)
    source, ids = c.own
    before = c.run(c.inputs, c.ids)
    for row, place in itertools.product(range(B), range(S)):
        changed = source.copy()
        changed[row, place] = (changed[row, place] + 3) % c.spec.source.vocab_size
        after = c.run(c.inputs, c.ids, source=(changed, ids))
        seen = (c.ids == ids[row, place]) & (np.arange(B)[:, None] == row) & (c.ids > 0)
        np.testing.assert_array_equal(after[(c.ids > 0) & ~seen], before[(c.ids > 0) & ~seen])
        if ids[row, place]:
            assert (after[seen] != before[seen]).any()


@pytest.mark.parametrize("name", CAUSAL_KINDS)
def test_padding_leaves_the_carry_as_it_was(name: str) -> None:
    c = case(name)
    chunk, ids = padded(c.inputs[:, :3], CUT), padded(c.ids[:, :3], CUT)
    _, before = c.step(chunk, c.initial_carry(), ids)
    ids = np.array([[0, 0], [0, 2 if c.packs else 1]], np.int32)
    _, after = c.step(padded(c.inputs[:, 3:5], CUT), before, padded(ids, CUT))
    moved = [
        bool((a[1] != b[1]).any())
        for a, b in zip(*map(jax.tree.leaves, (before, after)), strict=True)
    ]
    assert any(moved) == bool(moved)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0], b[0]), before, after)


@pytest.mark.parametrize("name", CAUSAL_KINDS)
def test_prompts_of_different_lengths_are_one_padded_chunk(name: str) -> None:
    """Row 1 has the shorter prompt; both then go on for two single tokens."""
    c = case(name)
    prompts = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]], np.int32)
    _, carry = c.step(c.inputs[:, :CUT], c.initial_carry(), prompts)
    got = []
    for place in (5, 6):
        logits, carry = c.step(c.inputs[:, place, None], carry, None)
        got.append(np.asarray(logits)[:, 0])
    joined = c.inputs.copy()
    joined[1, 2:4] = c.inputs[1, 5:]
    wanted = c.run(joined)
    np.testing.assert_allclose(got[0], wanted[[0, 1], [5, 2]], **TOLERANCE["chunking"])
    np.testing.assert_allclose(got[1], wanted[[0, 1], [6, 3]], **TOLERANCE["chunking"])


@pytest.mark.parametrize("name", CAUSAL)
def test_carry_is_arrays_with_the_batch_first(name: str) -> None:
    c = case(name)
    other = jax.eval_shape(lambda params: c.carry_of(params, 5, 9), c.params)
    assert all(leaf.shape[0] == 5 for leaf in jax.tree.leaves(other))
    carry = c.initial_carry()
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(carry))
    _, after = c.step(c.inputs[:, :3], carry, None)
    shapes = jax.tree.map(lambda x: (x.shape, x.dtype), carry)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == shapes


@pytest.mark.parametrize("name", CAUSAL_KINDS)
def test_rows_may_be_reordered_between_chunks(name: str) -> None:
    c = case(name)
    _, carry = c.step(c.inputs[:, :3], c.initial_carry(), None)
    straight, _ = c.step(c.inputs[:, 3:6], carry, None)
    order = np.array([1, 0])
    swapped = jax.tree.map(lambda x: x[order], carry)
    crossed, _ = c.step(c.inputs[order, 3:6], swapped, None)
    # Not the same bits: jax 0.12 adds up a product's terms by the row's place in the batch.
    np.testing.assert_allclose(crossed, np.asarray(straight)[order], **TOLERANCE["rounding"])
    assert (np.asarray(straight)[0] != np.asarray(straight)[1]).any()


@pytest.mark.parametrize("name", [n for n in TRAINED if hasattr(ALL[n], "dropout_rate")])
def test_the_key_matters_in_training_alone(name: str) -> None:
    c = case(name)
    keys = [jax.random.key(n) for n in (0, 1)]
    inputs, own = jax.tree.map(jnp.asarray, (c.inputs, c.own))
    calm = lambda key: c.call(c.params, inputs, None, None, *own, key=key)[0]
    program = jax.make_jaxpr(calm)(keys[0]).jaxpr
    _, is_used = dce_jaxpr(program, [True])
    assert is_used == [False]
    first, again, other = (c.run(c.inputs, train=True, key=k) for k in (keys[0], keys[0], keys[1]))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("name", [n for n in CAUSAL_KINDS if n not in BOUNDED])
def test_an_unbounded_carry_runs_past_any_capacity(name: str) -> None:
    c = case(name)
    logits, _ = c.step(jnp.asarray(c.inputs), c.initial_carry(B, 1), None)
    np.testing.assert_allclose(logits, c.run(c.inputs), **TOLERANCE["chunking"])


@pytest.mark.parametrize("name", [n for n in BOUNDED if n not in WINDOWED])
def test_past_the_capacity_a_row_is_nan_and_no_other_row(name: str) -> None:
    c = case(name)
    ids = np.array([[1] * T, [1, 1, 0, 1, 0, 0, 0]], np.int32)
    logits, carry = c.step(c.inputs, c.initial_carry(B, 5), ids)
    wanted, full = c.run(c.inputs, ids), ids > 0
    full[0, 5:] = False
    np.testing.assert_allclose(np.asarray(logits)[full], wanted[full], **TOLERANCE["chunking"])
    assert np.isnan(logits[0, 5:]).all()
    logits, _ = c.step(c.inputs, carry, padded(np.ones((B, 1), np.int32), T))
    assert np.isnan(logits[0, 0]).all()
    assert np.isfinite(logits[1, 0]).all()


@pytest.mark.parametrize("name", BOUNDED)
def test_past_max_length_outputs_are_nan_but_documents_may_add_up_to_more(name: str) -> None:
    c = case(name)
    tokens = np.concatenate([c.inputs, c.inputs[:, :2]], axis=1)  # T + 2, where max_length is T
    ids = np.array([[1] * (T + 2), [1, 1, 1, 1, 2, 2, 2, 2, 2]], np.int32)
    logits = c.run(tokens, jnp.asarray(ids))
    assert np.isnan(logits[0, T:]).all()
    assert np.isfinite(logits[0, :T]).all()
    assert np.isfinite(logits[1]).all()
    streamed, _ = c.step(jnp.asarray(tokens), c.initial_carry(B, T + 2), jnp.asarray(ids))
    np.testing.assert_allclose(streamed, logits, **TOLERANCE["chunking"])
    with pytest.raises(ValueError, match=f"max_length = {T}"):
        c.run(tokens)


@pytest.mark.parametrize("name", CONFIGS)
def test_bfloat16_arithmetic_keeps_float32_parameters_and_logits(name: str) -> None:
    c = case(name)
    model = build_model(c.config, c.spec, jnp.bfloat16)
    if not c.config.fitted:
        boxed = jax.eval_shape(lambda key: init_params(model, key), jax.random.key(0))
        assert {leaf.dtype for leaf in jax.tree.leaves(boxed)} == {jnp.dtype(jnp.float32)}
    ids = c.ids if has_segments(name) else None
    logits, _ = jax.jit(Calls(name, model))(c.start, c.inputs, None, ids, *c.own)
    wanted, _ = c.jitted(c.start, c.inputs, None, ids, *c.own)
    assert logits.dtype == jnp.float32
    np.testing.assert_allclose(logits, wanted, **TOLERANCE["bfloat16"])
    assert c.config.fitted or bool((logits != wanted).any())


@pytest.mark.parametrize("name", ALL)
def test_no_config_is_changed_by_its_model(name: str) -> None:
    assert dataclasses.asdict(case(name).model.config) == dataclasses.asdict(ALL[name])
