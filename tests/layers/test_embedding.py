"""Embeddings and heads for every kind of data."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.transformers import GPTConfig
from seqmodels.layers.embedding import TokenEmbedding, make_embedding, make_head
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.types import (
    ClassOutput,
    DataSpec,
    TokenInput,
    ValueInput,
    ValueOutput,
    VocabOutput,
)
from tests.tolerances import TOLERANCE

B, T, D, V, C, W = 2, 5, 12, 11, 6, 3

TOKENS = jnp.arange(B * T).reshape(B, T) % V
VALUES = jnp.linspace(-1.0, 1.0, B * T * W).reshape(B, T, W)

SPECS = {
    "language model": (DataSpec(TokenInput(V), VocabOutput(V)), TOKENS, (B, T, V)),
    "tagging": (DataSpec(TokenInput(V), ClassOutput(C, per_step=True)), TOKENS, (B, T, C)),
    "forecast": (DataSpec(ValueInput(W), ValueOutput(4, 2, 3)), VALUES, (B, T, 4, 2, 3)),
}


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize(
    "config",
    [
        RecurrentConfig(model_dim=D, hidden_dim=7),
        GPTConfig(
            num_layers=1, model_dim=D, num_heads=3, mlp_dim=20, max_length=8, tie_embeddings=False
        ),
    ],
)
def test_models_fit_any_data(kind: str, config: Any) -> None:
    spec, inputs, shape = SPECS[kind]
    model = build_model(config, spec)

    @jax.jit
    def run(key: jax.Array, inputs: jax.Array) -> jax.Array:
        params = nn.unbox(init_params(model, key))
        features, _ = model.apply({"params": params}, inputs, train=False)
        return model.apply({"params": params}, features, method="readout")

    outputs = run(jax.random.key(0), inputs)
    assert outputs.shape == shape
    assert outputs.dtype == jnp.float32
    assert np.std(outputs) > 0


def test_a_whole_sequence_is_classified_from_pooled_features() -> None:
    head = make_head(DataSpec(TokenInput(V), ClassOutput(C, per_step=False)))
    assert head is not None
    assert head.init_with_output(jax.random.key(0), jnp.ones((B, D)))[0].shape == (B, C)


def test_a_tied_head_reads_off_the_table() -> None:
    layer = make_embedding(SPECS["language model"][0], D)
    params = nn.unbox(layer.init(jax.random.key(0), TOKENS))
    table = np.asarray(params["params"]["table"])
    vectors = layer.apply(params, TOKENS)
    np.testing.assert_array_equal(vectors, table[np.asarray(TOKENS)])
    logits = layer.apply(params, vectors, method="attend")
    np.testing.assert_allclose(logits, vectors @ table.T, **TOLERANCE["reference"])


@pytest.mark.parametrize("kind", ["tagging", "forecast"])
def test_tying_needs_one_vocabulary(kind: str) -> None:
    with pytest.raises(ValueError, match="one vocabulary"):
        make_head(SPECS[kind][0], tied=True)


def test_tying_needs_equal_widths() -> None:
    config = RecurrentConfig(model_dim=D, hidden_dim=7, tie_embeddings=True)
    with pytest.raises(ValueError, match="with tie_embeddings it must equal hidden_dim, 7"):
        build_model(config, SPECS["language model"][0])


def test_a_token_outside_the_vocabulary_is_nan_not_another_token() -> None:
    layer = TokenEmbedding(V, D)
    params = layer.init(jax.random.key(0), TOKENS)
    vectors = layer.apply(params, jnp.array([[0, V, -1, -V]]))
    np.testing.assert_array_equal(np.isnan(vectors[0]).all(-1), [False, True, True, True])
    assert np.isfinite(vectors[0, 0]).all()


@pytest.mark.parametrize(
    "spec, one_hot",
    [
        (SPECS["language model"][0], False),
        (SPECS["language model"][0], True),
        (SPECS["forecast"][0], False),
    ],
)
def test_padding_is_read_as_zeros_whatever_is_there(spec: DataSpec, one_hot: bool) -> None:
    """Neither vectors nor weights have a gradient from it."""
    layer = make_embedding(spec, D, one_hot=one_hot)
    values = isinstance(spec.inputs, ValueInput)
    given, ids = VALUES if values else TOKENS, jnp.asarray([[1, 1, 0, 2, 0], [0, 1, 1, 1, 0]])
    marked = ids[..., None] > 0 if values else ids > 0
    variables = layer.init(jax.random.key(0), given)
    read = lambda p, x: jnp.sum(jnp.sin(layer.apply(p, x, ids)))
    wanted = jax.grad(read)(variables, jnp.where(marked, given, 0))
    for other in (jnp.nan,) if values else (-1, V, 3):
        spoiled = jnp.where(marked, given, other)
        assert values or not np.asarray(layer.apply(variables, spoiled, ids))[ids == 0].any()
        got = jax.grad(read)(variables, spoiled)
        jax.tree.map(np.testing.assert_array_equal, got, wanted)


def test_one_hot_tokens_are_rows_of_the_identity() -> None:
    layer = make_embedding(SPECS["language model"][0], D, one_hot=True)
    assert not layer.init(jax.random.key(0), TOKENS)
    np.testing.assert_array_equal(layer.apply({}, TOKENS), np.eye(V)[np.asarray(TOKENS)])
    outside = layer.apply({}, jnp.array([[0, V, -1]]))
    np.testing.assert_array_equal(np.isnan(outside).all(-1), [[False, True, True]])
