"""MLP and Perceptron against their equations; the laws are in tests/conformance."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.models import Activation, MLPConfig, ModelConfig, PerceptronConfig
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.types import (
    ClassOutput,
    DataSpec,
    ImageInput,
    TokenInput,
    ValueInput,
    ValueOutput,
    VocabOutput,
)
from tests.tolerances import TOLERANCE

B, T, V, D, F, C = 2, 5, 11, 4, 7, 3
SPECS = {
    "tokens": DataSpec(TokenInput(V), VocabOutput(V)),
    "values": DataSpec(ValueInput(D), ValueOutput(2, 3)),
    "images": DataSpec(ImageInput(4, 3, 2), ClassOutput(C, per_step=False)),
}
DRAW = np.random.default_rng(0)
INPUTS = {
    "tokens": DRAW.integers(V, size=(B, T)).astype(np.int32),
    "values": DRAW.normal(size=(B, T, D)).astype(np.float32),
    "images": DRAW.normal(size=(B, 4, 3, 2)).astype(np.float32),
}
SHAPES = {"tokens": (B, T, V), "values": (B, T, 2, 3, 1), "images": (B, C)}
MLP_CONFIG = MLPConfig(num_layers=3, model_dim=D, hidden_dim=F, activation=Activation.GELU_EXACT)


def run(config: ModelConfig, kind: str) -> tuple[Any, np.ndarray]:
    """Parameters in float64, and outputs."""
    model = build_model(config, SPECS[kind])
    params = nn.unbox(jax.jit(lambda key: init_params(model, key))(jax.random.key(0)))
    params = jax.tree.map(lambda p: p + 0.2, params)

    @jax.jit
    def call(params: Any) -> jax.Array:
        features, _ = model.apply({"params": params}, jnp.asarray(INPUTS[kind]), train=False)
        return model.apply({"params": params}, features, method="readout")

    outputs = np.asarray(call(params))
    assert outputs.shape == SHAPES[kind]
    return jax.tree.map(lambda p: np.asarray(p, np.float64), params), outputs


@pytest.mark.parametrize("kind", SPECS)
def test_a_perceptron_is_one_product(kind: str) -> None:
    params, outputs = run(PerceptronConfig(), kind)
    assert len(jax.tree.leaves(params)) == 2
    kernel, bias = (params["head"]["Dense_0"][name] for name in ("kernel", "bias"))
    x = INPUTS[kind]
    rows = x.reshape(B, -1) if kind == "images" else x
    wanted = kernel[rows] if kind == "tokens" else rows @ kernel
    wanted = (wanted + bias).reshape(outputs.shape)
    np.testing.assert_allclose(outputs, wanted, **TOLERANCE["reference"])


@pytest.mark.parametrize("kind", SPECS)
def test_an_mlp_is_products_with_gelu_between(kind: str) -> None:
    params, outputs = run(MLP_CONFIG, kind)
    x = INPUTS[kind].astype(np.float64) if kind != "tokens" else INPUTS[kind]
    h = params["embedding"]["table"][x] if kind == "tokens" else x
    h = h.reshape(B, -1) if kind == "images" else h
    erf = np.vectorize(math.erf)
    for n in range(3):
        h = h @ params[f"layers_{n}"]["kernel"] + params[f"layers_{n}"]["bias"]
        h = h * 0.5 * (1 + erf(h / math.sqrt(2)))
    head = params["head"]["Dense_0"]
    wanted = (h @ head["kernel"] + head["bias"]).reshape(outputs.shape)
    np.testing.assert_allclose(outputs, wanted, **TOLERANCE["reference"])


def test_an_mlp_has_no_gate() -> None:
    config = dataclasses.replace(MLP_CONFIG, activation=Activation.SWIGLU)
    with pytest.raises(ValueError, match="an mlp has no gate"):
        init_params(build_model(config, SPECS["tokens"]), jax.random.key(0))
