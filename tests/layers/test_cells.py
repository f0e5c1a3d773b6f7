"""Initial weights of the cells, and the state before a document."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.layers.cells import (
    GRUCell,
    GRUResetBeforeCell,
    LayerNormLSTMCell,
    LSTMCell,
    RNNCell,
)
from tests.tolerances import TOLERANCE

B, T, D, N, LENGTH = 3, 6, 5, 7, 50
MANY = 100
CELLS = {
    "rnn": (RNNCell, 1),
    "lstm": (LSTMCell, 4),
    "layer_norm_lstm": (LayerNormLSTMCell, 4),
    "gru": (GRUCell, 3),
    "gru_reset_before": (GRUResetBeforeCell, 3),
}


def start(cell: Any) -> Any:
    """Initial parameters of a cell."""

    def init(key: Any) -> Any:
        x = jnp.zeros((1, 2, D))
        return cell.init(key, x, method=lambda cell, x: cell(x, cell.initial_state(1)))

    return nn.unbox(jax.jit(init)(jax.random.key(0)))["params"]


@pytest.mark.parametrize("name", CELLS)
def test_gates_start_orthogonal_and_as_small_as_glorot_says(name: str) -> None:
    make, num_gates = CELLS[name]
    params = start(make(N))
    for gate in np.split(np.asarray(params["recurrent_kernel"]), num_gates, axis=1):
        np.testing.assert_allclose(gate.T @ gate, np.eye(N), **TOLERANCE["reference"])
    limit = np.sqrt(6 / (D + N))
    for gate in np.split(np.asarray(params["kernel"]), num_gates, axis=1):
        assert 0.8 * limit < np.abs(gate).max() <= limit


def test_irnn_starts_as_the_identity() -> None:
    params = start(RNNCell(MANY, relu=True, identity=True))
    np.testing.assert_array_equal(params["recurrent_kernel"], np.eye(MANY))
    np.testing.assert_array_equal(params["bias"], np.zeros(MANY))
    assert 0.0008 < np.std(params["kernel"]) < 0.0012


@pytest.mark.parametrize("name", ["lstm", "layer_norm_lstm"])
def test_chrono_biases_of_the_lstm(name: str) -> None:
    cell = CELLS[name][0](MANY, chrono_length=LENGTH)
    i, f, g, o = np.split(np.asarray(cell.bias_init(jax.random.key(0), (4 * MANY,))), 4)
    assert_chrono(f)
    np.testing.assert_array_equal(i, -f)
    assert not g.any() and not o.any()


def test_chrono_biases_of_the_gru() -> None:
    cell = GRUCell(MANY, chrono_length=LENGTH)
    r, z, n = np.split(np.asarray(cell.bias_init(jax.random.key(0), (3 * MANY,))), 3)
    assert_chrono(z)
    assert not r.any() and not n.any()


@pytest.mark.parametrize("make", [GRUCell, GRUResetBeforeCell])
def test_a_chrono_gru_keeps_its_state(make: Any) -> None:
    """Without products, a unit with bias b loses 1 / (1 + exp(b)) of its state per step."""
    cell = make(N, chrono_length=LENGTH)
    params = start(cell)
    z = np.asarray(params["bias"])[N : 2 * N]
    assert z.any()
    params["recurrent_kernel"] = jnp.zeros((N, 3 * N))
    _, after = cell.apply({"params": params}, jnp.zeros((1, 1, D)), 3 * jnp.ones((1, N)))
    wanted = 3 * (1 - 1 / (1 + np.exp(z)))
    np.testing.assert_allclose(after[0], wanted, **TOLERANCE["reference"])


def assert_chrono(bias: np.ndarray) -> None:
    """exp(bias) is uniform in 1 .. LENGTH - 1."""
    times = np.exp(bias)
    assert times.min() >= 1 and times.max() <= LENGTH - 1
    grid = (np.sort(times) - 1) / (LENGTH - 2)
    distance = np.abs(grid - (np.arange(MANY) + 0.5) / MANY).max()  # Kolmogorov and Smirnov's
    assert distance < 1.95 / np.sqrt(MANY)  # passed by all but one in 1000 uniform samples


@pytest.mark.parametrize("name", ["lstm", "gru_reset_before"])
def test_every_document_starts_from_the_learned_state(name: str) -> None:
    """Packed documents have the outputs and gradients that they have alone."""
    cell = CELLS[name][0](N, learned_initial_state=True)
    params = start(cell)
    learned = {n: p for n, p in params.items() if n.startswith("initial_")}
    assert len(learned) == 1 + ("lstm" in name)
    assert not any(p.any() for p in learned.values())
    for n, p in learned.items():
        params[n] = jax.random.normal(jax.random.key(len(n)), p.shape)
    x = jax.random.normal(jax.random.key(1), (1, T, D))
    starts = jnp.zeros((1, T), bool).at[0, jnp.array([0, 2, 5])].set(True)
    weights = jax.random.normal(jax.random.key(2), (1, T, N))

    def run(cell: Any, x: Any, starts: Any = None) -> Any:
        return cell(x, cell.initial_state(1), starts)[0]

    def packed(params: Any) -> Any:
        return (weights * cell.apply({"params": params}, x, starts, method=run)).sum()

    def alone(params: Any) -> Any:
        total = 0.0
        for part in (slice(0, 2), slice(2, 5), slice(5, T)):
            y = cell.apply({"params": params}, x[:, part], method=run)
            total += (weights[:, part] * y).sum()
        return total

    got, wanted = (jax.jit(jax.value_and_grad(f))(params) for f in (packed, alone))
    for n in learned:
        assert wanted[1][n].all()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, **TOLERANCE["gradient"]), got, wanted
    )


def test_without_a_learned_state_a_document_starts_from_zeros_of_two_buffers() -> None:
    state = LSTMCell(N).initial_state(B)
    assert not state.hidden.any() and not state.cell.any()
    pointers = {leaf.unsafe_buffer_pointer() for leaf in state}
    assert len(pointers) == 2
