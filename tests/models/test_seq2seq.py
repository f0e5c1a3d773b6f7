"""Seq2Seq against its papers' equations in float64 numpy, and its own properties; laws are in
tests/conformance, PyTorch's numbers in tests/golden."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.recurrent import AlignmentScope, AlignmentScore, Context, Seq2SeqConfig
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.types import DataSpec, TokenInput, VocabOutput
from tests.golden.seq2seq_reference import decode
from tests.tolerances import TOLERANCE

B, T, S, V = 2, 4, 6, 11
SPEC = DataSpec(TokenInput(V), VocabOutput(V), source=TokenInput(V - 2))
SOURCE = np.array([[3, 1, 4, 1, 5, 8], [2, 7, 1, 8, 2, 0]], np.int32)
TARGET = np.array([[9, 2, 6, 5], [3, 5, 10, 0]], np.int32)
SOURCE_IDS = np.array([[1, 1, 1, 1, 1, 1], [1, 0, 1, 1, 0, 0]], np.int32)
TARGET_IDS = np.array([[1, 1, 1, 1], [1, 1, 0, 1]], np.int32)

config = functools.partial(
    Seq2SeqConfig, cell="rnn", model_dim=5, hidden_dim=4, attention_dim=3, local_window=2
)
LOCAL = AlignmentScope.LOCAL_P
FORMS = {
    "fixed": config(context=Context.FIXED, reverse_source=True),
    "every_step": config(context=Context.EVERY_STEP),
    "every_step, two directions": config(context=Context.EVERY_STEP, bidirectional=True),
    "bahdanau": config(bidirectional=True),
    "bahdanau, local": config(score=AlignmentScore.SCALED_DOT, scope=LOCAL),
    "luong": config(context=Context.LUONG, score=AlignmentScore.GENERAL, bidirectional=True),
    "luong, local, unfed": config(
        context=Context.LUONG,
        score=AlignmentScore.CONCAT,
        scope=LOCAL,
        input_feeding=False,
        reverse_source=True,
    ),
}


def make(form: Seq2SeqConfig) -> tuple[Any, Any]:
    model = build_model(form, SPEC)
    shapes = nn.unbox(jax.eval_shape(lambda key: init_params(model, key), jax.random.key(0)))
    draw = np.random.default_rng(1)
    fill = lambda p: jnp.asarray(0.6 * draw.normal(size=p.shape), jnp.float32)
    return model, jax.tree.map(fill, shapes)


def run(name: str) -> tuple[Any, Any, np.ndarray, Any]:
    """Model, parameters, features and weights of TARGET for SOURCE."""
    model, params = make(FORMS[name])

    @jax.jit
    def call(params: Any) -> tuple[Any, Any]:
        variables, ids = {"params": params}, jnp.asarray(TARGET_IDS)
        memory = model.apply(
            variables,
            jnp.asarray(SOURCE),
            segment_ids=jnp.asarray(SOURCE_IDS),
            train=False,
            method="encode",
        )
        target = jnp.asarray(TARGET)
        features, _ = model.apply(variables, target, segment_ids=ids, memory=memory, train=False)
        if "alignment" not in params and model.config.score is not AlignmentScore.SCALED_DOT:
            return features, None
        weights = model.apply(variables, target, memory, segment_ids=ids, method="align")
        return features, weights

    return model, params, *call(params)


@pytest.mark.parametrize("name", FORMS)
def test_a_row_is_the_equations_step_by_step(name: str) -> None:
    """Padding in the source and in the target has no effect."""
    model, params, features, weights = run(name)
    form = model.config
    settings = {
        "context": form.context,
        "score": form.score,
        "half_width": form.local_window if form.scope == LOCAL else None,
        "reverse": form.reverse_source,
        "feeds": form.input_feeding,
    }
    exact = jax.tree.map(lambda p: np.asarray(p, np.float64), params)
    for b in range(B):
        valid, there = TARGET_IDS[b] > 0, SOURCE_IDS[b] > 0
        tokens = (SOURCE[b, there].tolist(), TARGET[b, valid].tolist())
        wanted, aligned = decode(exact, *tokens, settings)
        np.testing.assert_allclose(features[b, valid], wanted, **TOLERANCE["reference"])
        if weights is None:
            assert not aligned
            continue
        assert weights.shape == (B, T, S)
        got = np.asarray(weights)[b, valid]
        np.testing.assert_allclose(got[:, there], aligned, **TOLERANCE["reference"])
        assert not got[:, ~there].any()


@pytest.mark.parametrize("name", ["fixed", "bahdanau"])
def test_a_row_of_two_documents_is_refused_or_nan(name: str) -> None:
    model, params, before, _ = run(name)
    variables, two = {"params": params}, np.array([[1] * S, [1, 1, 1, 2, 2, 2]], np.int32)
    encode = functools.partial(model.apply, variables, jnp.asarray(SOURCE), method="encode")
    with pytest.raises(ValueError, match="one document per row"):
        encode(segment_ids=jnp.asarray(two), train=False)

    @jax.jit
    def call(source_ids: Any, ids: Any) -> Any:
        memory = encode(segment_ids=source_ids, train=False)
        target = jnp.asarray(TARGET)
        return model.apply(variables, target, segment_ids=ids, memory=memory, train=False)[0]

    packed = call(two, TARGET_IDS)
    np.testing.assert_allclose(packed[0], before[0], **TOLERANCE["chunking"])
    assert np.isnan(packed[1][TARGET_IDS[1] > 0]).all()
    packed = call(SOURCE_IDS, np.array([[1, 1, 2, 2], [1, 1, 0, 1]], np.int32))
    assert np.isnan(packed[0, 2:]).all()
    there = np.array([[1, 1, 0, 0], [1, 1, 0, 1]], bool)
    np.testing.assert_allclose(packed[there], before[there], **TOLERANCE["chunking"])


@pytest.mark.parametrize("name", ["bahdanau", "luong"])
def test_a_row_without_a_source_is_finite_and_so_is_its_gradient(name: str) -> None:
    model, params, _, _ = run(name)
    ids = jnp.asarray([[0] * S, [1] * S])

    def loss(params: Any) -> Any:
        variables = {"params": params}
        source = jnp.asarray(SOURCE)
        memory = model.apply(variables, source, segment_ids=ids, train=False, method="encode")
        features, _ = model.apply(variables, jnp.asarray(TARGET), memory=memory, train=False)
        return jnp.sum(jnp.square(features))

    for leaf in jax.tree.leaves(jax.jit(jax.value_and_grad(loss))(params)):
        assert np.isfinite(leaf).all()


def test_dropout_differs_from_step_to_step_inside_the_loop() -> None:
    """With one repeated token and cells without memory, steps differ only by dropout."""
    model, params = make(dataclasses.replace(FORMS["bahdanau"], dropout_rate=0.5))
    params = jax.tree.map(jnp.zeros_like, params)
    params["decoder"]["cells_0"]["bias"] = jnp.ones(4)
    params["mix"]["kernel"] = jnp.ones_like(params["mix"]["kernel"])

    @jax.jit
    def call(key: jax.Array) -> jax.Array:
        variables, target = {"params": params}, jnp.zeros((1, 16), jnp.int32)
        memory = model.apply(variables, target, train=False, method="encode")
        rngs = {"dropout": key}
        return model.apply(variables, target, memory=memory, train=True, rngs=rngs)[0]

    kept = np.asarray(call(jax.random.key(0)))[0, :, 0]
    assert len(np.unique(kept)) > 1


def test_the_carry_holds_what_its_context_needs_and_no_more() -> None:
    expected = {
        "fixed": {"layers"},
        "every_step": {"layers", "context"},
        "bahdanau": {"layers", "query", "memory"},
        "luong": {"layers", "fed", "memory"},
        "luong, local, unfed": {"layers", "memory"},
    }
    for name, parts in expected.items():
        model, params, _, _ = run(name)
        memory = jax.eval_shape(
            lambda p, model=model: model.apply(
                {"params": p}, jnp.asarray(SOURCE), train=False, method="encode"
            ),
            params,
        )
        assert set(model.initial_carry(B, 1, memory)) == parts


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(ValueError, match="score dot needs"):
        make(config(score=AlignmentScore.DOT, bidirectional=True))
    with pytest.raises(ValueError, match="must have a source"):
        init_params(
            build_model(config(), DataSpec(TokenInput(V), VocabOutput(V))), jax.random.key(0)
        )
    model, params, _, _ = run("fixed")
    with pytest.raises(ValueError, match="encode the source first"):
        model.apply({"params": params}, jnp.asarray(TARGET), train=False)
    with pytest.raises(ValueError, match="no attention to the source"):
        model.apply({"params": params}, jnp.asarray(TARGET), None, method="align")
