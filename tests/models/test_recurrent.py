"""Properties of Recurrent alone; the laws are in tests/conformance, the numbers in tests/golden."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.types import DataSpec, TokenInput, VocabOutput
from tests.tolerances import TOLERANCE

B, V, D, N = 2, 11, 12, 7
SPEC = DataSpec(TokenInput(V), VocabOutput(V))


def test_lstm_starts_with_its_forget_bias_and_orthogonal_gates() -> None:
    model = build_model(RecurrentConfig(model_dim=D, hidden_dim=N, forget_bias=1.5), SPEC)
    params = nn.unbox(jax.jit(lambda key: init_params(model, key))(jax.random.key(0)))
    cell = params["layers"]["cells_0"]
    wanted = np.zeros(4 * N)
    wanted[N : 2 * N] = 1.5
    np.testing.assert_array_equal(cell["bias"], wanted)
    for gate in np.split(np.asarray(cell["recurrent_kernel"]), 4, axis=1):
        np.testing.assert_allclose(gate.T @ gate, np.eye(N), **TOLERANCE["reference"])


def test_uniform_init_is_that_of_every_parameter() -> None:
    config = RecurrentConfig(model_dim=D, hidden_dim=N, num_layers=2, uniform_init=0.25)
    model = build_model(config, SPEC)
    init = jax.jit(lambda key: init_params(model, key))
    params, other = (nn.unbox(init(jax.random.key(seed))) for seed in (0, 1))
    leaves = [np.asarray(leaf).ravel() for leaf in jax.tree.leaves(params)]
    assert all(len(np.unique(leaf)) > len(leaf) // 2 for leaf in leaves)  # biases too
    drawn = np.concatenate(leaves)
    assert np.abs(drawn).max() < 0.25 and (np.abs(drawn) > 0.2).mean() > 0.1
    assert len(np.unique(drawn)) > 0.99 * len(drawn)  # nor is one drawn like another
    assert not np.array_equal(jax.tree.leaves(other)[0], jax.tree.leaves(params)[0])
    boxed = jax.eval_shape(lambda key: init_params(model, key), jax.random.key(0))
    assert isinstance(boxed["layers"]["cells_0"]["kernel"], nn.LogicallyPartitioned)


def test_the_carry_has_the_same_size_for_any_capacity() -> None:
    model = build_model(RecurrentConfig(model_dim=D, hidden_dim=N, num_layers=3), SPEC)
    shapes = [
        jax.tree.map(jnp.shape, model.apply({}, B, capacity, method="initial_carry"))
        for capacity in (1, 10**9)
    ]
    assert shapes[0] == shapes[1]
    assert len(shapes[0]["layers"]) == 3
    assert shapes[0]["layers"]["layer_2"] == ((B, N), (B, N))
