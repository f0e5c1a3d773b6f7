"""Properties of Aaren alone; the laws are in tests/conformance, its cell in tests/layers."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.transformers import AarenConfig, NormPlacement, Position
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.types import DataSpec, TokenInput, VocabOutput

B, T, V = 2, 5, 11
SPEC = DataSpec(TokenInput(V), VocabOutput(V))
SMALL = AarenConfig(num_layers=2, model_dim=12, num_heads=3, mlp_dim=20)


def shapes(config: AarenConfig) -> Any:
    model = build_model(config, SPEC)
    return nn.unbox(jax.eval_shape(lambda key: init_params(model, key), jax.random.key(0)))


def count(tree: Any) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def test_a_layer_has_a_transformer_s_parameters_and_one_token_more() -> None:
    """3,152,384 of `nn.TransformerEncoderLayer(512, nhead, 2048)`, and 512."""
    config = AarenConfig(
        num_layers=1, model_dim=512, num_heads=8, mlp_dim=2048, norm_placement=NormPlacement.POST
    )
    d, f = config.model_dim, config.mlp_dim
    attention, feedforward, norms = 4 * (d * d + d), 2 * d * f + f + d, 2 * 2 * d
    transformer = attention + feedforward + norms
    assert transformer == 3_152_384
    stack = shapes(config)["stack"]
    assert count(stack) == transformer + d == 3_152_896
    assert stack["blocks_0"]["cell"]["scores"]["query_token"].shape == (d,)


def test_the_carry_has_the_same_size_for_any_capacity() -> None:
    model = build_model(SMALL, SPEC)
    sizes = [
        jax.tree.map(jnp.shape, model.apply({}, B, capacity, method="initial_carry"))
        for capacity in (1, 10**9)
    ]
    assert sizes[0] == sizes[1]
    # Two numbers a head, one vector a layer, an id and a position.
    row = 2 * (2 * 3 + 12) + 2
    assert sum(math.prod(s) for s in jax.tree.leaves(sizes[0], is_leaf=_is_shape)) == B * row


def _is_shape(x: Any) -> bool:
    return isinstance(x, tuple) and all(isinstance(n, int) for n in x)


@pytest.mark.parametrize("position", [Position.NONE, Position.SINUSOIDAL])
def test_without_positions_a_layer_sees_a_set(position: Position) -> None:
    """One query attends to all, so only positions tell the last output the order."""
    config = AarenConfig(num_layers=1, model_dim=12, num_heads=3, mlp_dim=20, position=position)
    model = build_model(config, SPEC)
    params = nn.unbox(jax.jit(lambda key: init_params(model, key))(jax.random.key(0)))
    run = jax.jit(lambda tokens: model.apply({"params": params}, tokens, train=False)[0][:, -1])
    tokens = jnp.arange(B * T).reshape(B, T) % V
    moved = np.abs(run(tokens) - run(tokens[:, jnp.array([1, 0, 2, 3, 4])])).max()
    assert (moved > 1e-4) == (position is Position.SINUSOIDAL)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"num_heads": 5}, "must divide model_dim"), ({"position": Position.ROTARY}, "none or sin")],
)
def test_impossible_configs_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shapes(AarenConfig(**{"model_dim": 12, "num_heads": 3, **change}))
