"""Properties of GPT alone; the laws are in tests/conformance, the numbers in tests/golden."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.transformers import GPTConfig, Position
from seqmodels.layers import blocks
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.types import DataSpec, TokenInput, VocabOutput
from tests.tolerances import TOLERANCE

B, T, V, L = 2, 5, 11, 3
SPEC = DataSpec(TokenInput(V), VocabOutput(V))
SMALL = GPTConfig(num_layers=L, model_dim=12, num_heads=3, mlp_dim=20, max_length=T)
TOKENS = jnp.arange(B * T).reshape(B, T) % V


def start(config: GPTConfig) -> Any:
    model = build_model(config, SPEC)
    return jax.jit(lambda key: init_params(model, key))(jax.random.key(0))


def logits_and_gradient(config: GPTConfig, params: Any) -> Any:
    model = build_model(config, SPEC)

    def total(params: Any) -> tuple[jax.Array, jax.Array]:
        features, _ = model.apply({"params": params}, TOKENS, train=False)
        logits = model.apply({"params": params}, features, method="readout")
        return jnp.sum(jnp.sin(logits)), logits

    return jax.jit(jax.value_and_grad(total, has_aux=True))(params)


def test_remat_and_a_rolled_scan_change_nothing_but_time(monkeypatch: pytest.MonkeyPatch) -> None:
    params = nn.unbox(start(SMALL))
    plain = logits_and_gradient(SMALL, params)
    remat = logits_and_gradient(dataclasses.replace(SMALL, remat=True), params)
    monkeypatch.setattr(blocks, "UNROLL_UP_TO", 0)
    rolled = logits_and_gradient(SMALL, params)
    for other in (remat, rolled):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, **TOLERANCE["gradient"]), other, plain
        )


def test_layers_are_stacked_and_named() -> None:
    boxed = start(SMALL)["stack"]["blocks"]
    for box in jax.tree.leaves(boxed, is_leaf=lambda x: isinstance(x, nn.LogicallyPartitioned)):
        assert box.names[0] == "layers"
        assert box.value.shape[0] == L
    assert boxed["attention"]["qkv"]["kernel"].names == ("layers", "embed", "heads", None, "kv")


def test_weights_start_as_gpt_2_s() -> None:
    config = dataclasses.replace(SMALL, model_dim=96, mlp_dim=384, max_length=50)
    params = nn.unbox(start(config))
    block = params["stack"]["blocks"]
    scaled = 0.02 / math.sqrt(2 * L)
    wanted = [
        (params["embedding"]["table"], 0.02),
        (params["position_table"]["table"], 0.02),
        (block["attention"]["qkv"]["kernel"], 0.02),
        (block["attention"]["out"]["kernel"], scaled),
        (block["feedforward"]["wide"]["kernel"], 0.02),
        (block["feedforward"]["out"]["kernel"], scaled),
    ]
    for values, deviation in wanted:
        # Five standard errors of a sample deviation.
        assert abs(np.std(values) / deviation - 1) < 5 / math.sqrt(2 * values.size)
    kernels = block["attention"]["qkv"]["kernel"]
    assert (kernels[0] != kernels[1]).all(), "layers start alike"


def test_dropout_differs_from_layer_to_layer() -> None:
    """Each layer adds its own constant to zeros, so that the sums show the masks."""
    config = dataclasses.replace(SMALL, dropout_rate=0.5, use_bias=True, position=Position.ROTARY)
    model = build_model(config, SPEC)
    params = jax.tree.map(jnp.zeros_like, nn.unbox(start(config)))
    added = jnp.array([1.0, 10.0, 100.0])  # one digit a layer
    bias = params["stack"]["blocks"]["feedforward"]["out"]["bias"]
    params["stack"]["blocks"]["feedforward"]["out"]["bias"] = bias + added[:, None]
    params["stack"]["final_norm"]["scale"] += 1.0

    def run(params: Any, key: jax.Array) -> jax.Array:
        return model.apply({"params": params}, TOKENS, train=True, rngs={"dropout": key})[0]

    features = jax.jit(run)(params, jax.random.key(1))
    # Each token's features rank the 8 sums that three independent masks can give.
    assert len(np.unique(np.round(np.asarray(features[0, 0]), 3))) > 2


@pytest.mark.parametrize("position", [Position.SINUSOIDAL, Position.ROTARY, Position.ALIBI])
def test_only_learned_positions_have_parameters(position: Position) -> None:
    config = dataclasses.replace(SMALL, position=position)
    assert "position_table" in jax.eval_shape(lambda: start(SMALL))
    assert "position_table" not in jax.eval_shape(lambda: start(config))


@pytest.mark.parametrize("position", Position)
def test_the_order_of_tokens_matters(position: Position) -> None:
    """The last logits move when two earlier tokens change places."""
    config = dataclasses.replace(SMALL, position=position)
    model, params = build_model(config, SPEC), nn.unbox(start(config))
    run = jax.jit(lambda tokens: model.apply({"params": params}, tokens, train=False)[0][:, -1])
    assert (run(TOKENS) != run(TOKENS[:, jnp.array([1, 0, 2, 3, 4])])).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_heads": 5}, "num_heads must divide model_dim, 12"),
        ({"num_heads": 4, "position": Position.ROTARY}, "heads of an even width"),
    ],
)
def test_impossible_heads_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        start(dataclasses.replace(SMALL, **change))


def test_carry_can_be_donated() -> None:
    """Keys and values are separate buffers, and a step writes into them in place."""
    model, params = build_model(SMALL, SPEC), nn.unbox(start(SMALL))
    carry = model.apply({}, B, T, method="initial_carry")
    assert carry["keys"].unsafe_buffer_pointer() != carry["values"].unsafe_buffer_pointer()

    def step(params: Any, token: jax.Array, carry: Any) -> Any:
        return model.apply({"params": params}, token, carry, train=False)

    compiled = jax.jit(step, donate_argnums=2).lower(params, TOKENS[:, :1], carry).compile()
    assert compiled.memory_analysis().alias_size_in_bytes >= 2 * carry["keys"].nbytes
