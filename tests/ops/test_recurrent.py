"""The general recurrence, and the fast LSTM against it and against float64 numpy."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.ops.lstm import LSTMState, lstm
from seqmodels.ops.positions import advance
from seqmodels.ops.recurrent import recur
from tests.tolerances import TOLERANCE

B, T, D, N = 3, 7, 5, 4

LAST = np.array([1, 0, 0], np.int32)  # row 0 goes on with document 1
IDS = np.array([[1, 1, 2, 2, 2, 3, 3], [1, 0, 1, 0, 0, 2, 2], [0, 0, 1, 1, 1, 1, 0]], np.int32)


def moments() -> tuple[jax.Array, jax.Array]:
    step = advance(jnp.array(IDS), jnp.array(LAST), jnp.full(B, -1, jnp.int32))
    return step.starts, step.valid


def parameters() -> dict[str, Any]:
    keys = jax.random.split(jax.random.key(0), 6)
    shapes = {"x": (B, T, D), "hidden": (B, N), "cell": (B, N), "kernel": (D, 4 * N)}
    shapes |= {"recurrent_kernel": (N, 4 * N), "bias": (4 * N,)}
    return {n: jax.random.normal(k, s) for k, (n, s) in zip(keys, shapes.items(), strict=True)}


def fast(p: dict[str, Any], starts: Any = None, valid: Any = None) -> tuple[jax.Array, Any]:
    state = LSTMState(p["hidden"], p["cell"])
    return lstm(p["x"], state, p["kernel"], p["recurrent_kernel"], p["bias"], starts, valid)


def naive(p: dict[str, Any], starts: Any = None, valid: Any = None) -> tuple[jax.Array, Any]:
    """The equations of the docstring, one step at a time."""

    def step(state: LSTMState, x: jax.Array) -> tuple[LSTMState, jax.Array]:
        z = x @ p["kernel"] + state.hidden @ p["recurrent_kernel"] + p["bias"][None]
        i, f, g, o = jnp.split(z, 4, axis=-1)
        cell = jax.nn.sigmoid(f) * state.cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        hidden = jax.nn.sigmoid(o) * jnp.tanh(cell)
        return LSTMState(hidden, cell), hidden

    state = LSTMState(p["hidden"], p["cell"])
    return recur(step, state, p["x"], None, starts, valid)


def in_numpy(p: dict[str, Any], ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same in float64, with the rule of the ids written out."""
    p = {name: np.asarray(value, np.float64) for name, value in p.items()}
    sigmoid = lambda z: 1 / (1 + np.exp(-z))
    ys, hs, cs = np.zeros((B, T, N)), np.zeros((B, N)), np.zeros((B, N))
    for row in range(B):
        h, c, largest = p["hidden"][row], p["cell"][row], LAST[row]
        for t in range(T):
            if ids[row, t] == 0:
                continue
            if ids[row, t] > largest:
                h, c, largest = np.zeros(N), np.zeros(N), ids[row, t]
            z = p["x"][row, t] @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"]
            i, f, g, o = np.split(z, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            ys[row, t] = h
        hs[row], cs[row] = h, c
    return ys, hs, cs


@pytest.mark.parametrize("run", [fast, naive])
def test_lstm_is_the_equations_in_float64(run: Any) -> None:
    p = parameters()
    ys, (hidden, cell) = jax.jit(run)(p, *moments())
    for got, wanted in zip((ys, hidden, cell), in_numpy(p, IDS), strict=True):
        np.testing.assert_allclose(got, wanted, **TOLERANCE["reference"])


@pytest.mark.parametrize("segmented", [False, True])
def test_the_fast_lstm_s_gradients_are_autodiff_s(segmented: bool) -> None:
    starts, valid = moments() if segmented else (None, None)
    weights = jax.random.normal(jax.random.key(1), (B, T + 2, N))

    def loss(run: Any, p: dict[str, Any]) -> jax.Array:
        ys, (hidden, cell) = run(p, starts, valid)
        everything = jnp.concatenate([ys, hidden[:, None], cell[:, None]], axis=1)
        return jnp.sum(weights * jnp.sin(everything))

    got = jax.jit(jax.value_and_grad(lambda p: loss(fast, p)))(parameters())
    wanted = jax.jit(jax.value_and_grad(lambda p: loss(naive, p)))(parameters())
    for path, value in jax.tree.leaves_with_path(wanted):
        assert np.abs(value).max() > 0, path
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, **TOLERANCE["gradient"]), got, wanted
    )


def test_a_document_moves_neither_the_values_nor_the_gradients_of_the_next() -> None:
    p = parameters()
    starts, valid = moments()

    @jax.jit
    def second(x: jax.Array) -> jax.Array:
        return jnp.sum(jnp.sin(fast(p | {"x": x}, starts, valid)[0][0, 2:5]))

    poisoned = p["x"].at[0, :2].set(jnp.inf)
    gradient = jax.grad(second)(p["x"])
    np.testing.assert_array_equal(second(poisoned), second(p["x"]))
    assert not gradient[0, :2].any()
    assert not gradient[0, 5:].any()
    assert gradient[0, 2:5].all()


def test_recur_takes_any_state_and_restarts_where_it_is_told() -> None:
    """A counter that starts from 10, with a state of several leaves and shapes."""
    xs = {"add": jnp.ones((B, T), jnp.int32)}
    state = {"sum": jnp.full(B, 5), "pair": jnp.zeros((B, 2, 3))}
    restart = {"sum": jnp.full(1, 10), "pair": jnp.ones((1, 2, 3))}

    def step(state: Any, x: Any) -> tuple[Any, Any]:
        total = state["sum"] + x["add"]
        return {"sum": total, "pair": state["pair"] + 1}, total

    ys, after = recur(step, state, xs, restart, *moments())
    wanted = [[6, 7, 11, 12, 13, 11, 12], [11, 0, 12, 0, 0, 11, 12], [0, 0, 11, 12, 13, 14, 0]]
    np.testing.assert_array_equal(ys, wanted)
    np.testing.assert_array_equal(after["sum"], [12, 12, 14])
    np.testing.assert_array_equal(after["pair"][:, 1, 2], [3, 3, 5])


def test_the_products_take_the_dtype_of_the_input_and_the_state_stays_float32() -> None:
    p = parameters()
    ys, state = fast(p | {"x": p["x"].astype(jnp.bfloat16)})
    assert ys.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in state} == {jnp.dtype(jnp.float32)}
    np.testing.assert_allclose(ys.astype(jnp.float32), fast(p)[0], **TOLERANCE["bfloat16"])
