"""Properties of RecurrentEncoder alone; laws are in tests/conformance, numbers in tests/golden."""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.models import Pooling
from seqmodels.config.recurrent import InputEncoding, RecurrentEncoderConfig
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.types import ClassOutput, DataSpec, TokenInput, ValueInput, VocabOutput
from tests.tolerances import TOLERANCE

B, T, V, D, N, C = 2, 5, 11, 12, 7, 3
WHOLE = DataSpec(TokenInput(V), ClassOutput(C, per_step=False))
CONFIG = RecurrentEncoderConfig(model_dim=D, hidden_dim=N, num_layers=2)
OUTPUTS = {
    "whole": (WHOLE, (B, 2 * N), (B, C)),
    "each step": (
        DataSpec(TokenInput(V), ClassOutput(C, per_step=True)),
        (B, T, 2 * N),
        (B, T, C),
    ),
    "vocab": (DataSpec(TokenInput(V), VocabOutput(V)), (B, T, 2 * N), (B, T, V)),
    "values": (
        DataSpec(ValueInput(4), ClassOutput(C, per_step=False)),
        (B, 2 * N),
        (B, C),
    ),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_features_are_pooled_where_outputs_are_one_a_sequence(name: str) -> None:
    spec, features_shape, shape = OUTPUTS[name]
    model = build_model(CONFIG, spec)
    values = isinstance(spec.inputs, ValueInput)
    dtype = jnp.float32 if values else jnp.int32
    inputs = jax.ShapeDtypeStruct((B, T, 4) if values else (B, T), dtype)

    def run(inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        variables = {"params": nn.unbox(init_params(model, jax.random.key(0)))}
        features, carry = model.apply(variables, inputs, train=False)
        assert carry is None
        return features, model.apply(variables, features, method="readout")

    features, outputs = jax.eval_shape(run, inputs)
    assert (features.shape, outputs.shape) == (features_shape, shape)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_last_is_the_state_of_each_direction_where_it_has_read_all(bidirectional: bool) -> None:
    config = dataclasses.replace(CONFIG, bidirectional=bidirectional, pooling=Pooling.LAST)
    model = build_model(config, WHOLE)
    variables = nn.unbox({"params": jax.jit(lambda k: init_params(model, k))(jax.random.key(0))})
    tokens = jnp.arange(B * T).reshape(B, T) % V
    ids = jnp.asarray([[0, 1, 1, 1, 0], [1, 0, 1, 0, 0]], jnp.int32)

    def state(model: nn.Module) -> jax.Array:
        layers = model.layers
        x, marks = model.embedding(tokens), (ids > 0,)
        _, last = layers(x, layers.initial_state(B), None, *marks, train=False)
        top = last["layer_1"]
        if not bidirectional:
            return top.hidden
        return jnp.concatenate([top["forward"].hidden, top["backward"].hidden], axis=-1)

    features, _ = jax.jit(lambda v: model.apply(v, tokens, segment_ids=ids, train=False))(variables)
    wanted = jax.jit(lambda v: model.apply(v, method=state))(variables)
    assert features.shape == (B, N * (1 + bidirectional))
    np.testing.assert_allclose(features, wanted, **TOLERANCE["rounding"])


def test_one_hot_inputs_need_tokens() -> None:
    config = dataclasses.replace(CONFIG, input_encoding=InputEncoding.ONE_HOT)
    params = jax.eval_shape(
        lambda key: nn.unbox(init_params(build_model(config, WHOLE), key)), jax.random.key(0)
    )
    assert "embedding" not in params
    assert params["layers"]["cells_0"]["backward"]["kernel"].shape == (V, 4 * N)
    model = build_model(config, OUTPUTS["values"][0])
    with pytest.raises(ValueError, match="one-hot inputs need tokens"):
        jax.eval_shape(lambda key: init_params(model, key), jax.random.key(0))
