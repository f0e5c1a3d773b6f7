"""Properties of Convolutional; laws are in tests/conformance, numbers in tests/golden."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.models import ConvolutionalConfig, ConvolutionForm
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.types import ClassOutput, DataSpec, TokenInput, ValueInput, VocabOutput
from tests.tolerances import TOLERANCE

B, T, V, D, F, C = 2, 6, 11, 5, 7, 3
TEXT = DataSpec(TokenInput(V), ClassOutput(C, per_step=False))
TCN = ConvolutionalConfig(num_layers=3, model_dim=D, hidden_dim=F, kernel_size=3)
TEXT_CNN = dataclasses.replace(TCN, form=ConvolutionForm.TEXT_CNN, num_layers=1, kernel_size=2)


def build(config: ConvolutionalConfig, spec: DataSpec) -> tuple[Any, Any]:
    model = build_model(config, spec)
    return model, nn.unbox(jax.jit(lambda key: init_params(model, key))(jax.random.key(0)))


def test_a_tcn_sees_as_far_as_its_dilations_reach() -> None:
    """Two convolutions per block: 2 (W - 1) (1 + 2 + 4) tokens back."""
    model, params = build(TCN, DataSpec(ValueInput(2), VocabOutput(V)))
    reach = 2 * 2 * 7
    params = jax.tree.map(lambda p: jnp.abs(p) + 0.01, params)  # so that no unit is off
    x = jnp.ones((1, reach + 2, 2))

    def last(x: jax.Array) -> jax.Array:
        return jnp.sum(model.apply({"params": params}, x, train=False)[0][:, -1])

    moves = np.abs(np.asarray(jax.jit(jax.grad(last))(x))[0]).max(-1)
    assert not moves[0]
    assert moves[1] > 0


def test_the_carry_of_a_tcn_is_what_its_convolutions_still_see() -> None:
    model, params = build(TCN, DataSpec(TokenInput(V), VocabOutput(V)))
    shapes = [
        jax.tree.map(jnp.shape, model.apply({"params": params}, B, n, method="initial_carry"))
        for n in (1, 10**9)
    ]
    assert shapes[0] == shapes[1]
    wanted = {f"layer_{n}": (B, 2 * 2**n, F if n else D) for n in range(3)}
    got = {name: layer["convolution_0"] for name, layer in shapes[0]["layers"].items()}
    assert got == wanted


def test_text_cnn_is_the_maximum_over_windows() -> None:
    """Loops in float64, one document at a time; the values at padding make no difference."""
    model, params = build(TEXT_CNN, TEXT)
    for n in range(3):  # so that a window of nothing has an answer too
        params[f"windows_{n}"]["bias"] += 0.3
    tokens = np.arange(B * T).reshape(B, T) % V
    ids = np.array([[1, 1, 1, 1, 1, 1], [1, 0, 1, 0, 0, 0]], np.int32)
    run = jax.jit(lambda t, ids: model.apply({"params": params}, t, segment_ids=ids, train=False))
    got, carry = run(tokens, ids)
    assert carry is None
    assert got.shape == (B, 3 * F)
    table = np.asarray(params["embedding"]["table"], np.float64)
    for row in range(B):
        x, found = table[tokens[row, ids[row] > 0]], []
        for n in range(3):
            width = 2 + n
            window = params[f"windows_{n}"]
            padded = np.pad(x, ((width - 1, width - 1), (0, 0)))
            answers = [
                np.einsum("wd,wdf->f", padded[s : s + width], window["kernel"]) + window["bias"]
                for s in range(len(x) + width - 1)
            ]
            found.append(np.maximum(answers, 0).max(0))
        np.testing.assert_allclose(got[row], np.concatenate(found), **TOLERANCE["reference"])
    other = np.where(ids > 0, tokens, (tokens + 1) % V)
    np.testing.assert_array_equal(run(other, ids)[0], got)
    empty, _ = run(tokens, np.zeros_like(ids))
    assert not empty.any()


@pytest.mark.parametrize("outputs", [VocabOutput(V), ClassOutput(C, per_step=True)])
def test_text_cnn_refuses_an_output_a_step(outputs: Any) -> None:
    with pytest.raises(ValueError, match="one output per document, not one per step"):
        build(TEXT_CNN, DataSpec(TokenInput(V), outputs))


def test_text_cnn_has_no_carry() -> None:
    model, params = build(TEXT_CNN, TEXT)
    assert not model.causal
    with pytest.raises(ValueError, match="no carry"):
        model.apply({"params": params}, B, T, method="initial_carry")
    with pytest.raises(ValueError, match="no carry"):
        model.apply({"params": params}, jnp.zeros((B, T), jnp.int32), {}, train=False)
