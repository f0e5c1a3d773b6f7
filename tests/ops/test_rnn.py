"""RNN, GRU and the layer-normalised LSTM against float64 numpy, and their gradients."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.ops.lstm import LayerNormLSTMParams, LSTMState, layer_norm_lstm, lstm
from seqmodels.ops.positions import advance
from seqmodels.ops.recurrent import recur
from seqmodels.ops.rnn import gru, gru_reset_before, rnn
from tests.tolerances import TOLERANCE

B, T, D, N = 3, 7, 5, 4

LAST = np.array([1, 0, 0], np.int32)  # row 0 goes on with document 1
IDS = np.array([[1, 1, 2, 2, 2, 3, 3], [1, 0, 1, 0, 0, 2, 2], [0, 0, 1, 1, 1, 1, 0]], np.int32)

GATES = {"rnn": 1, "rnn_relu": 1, "gru": 3, "gru_reset_before": 3, "lstm": 4, "layer_norm_lstm": 4}


def moments() -> tuple[jax.Array, jax.Array]:
    step = advance(jnp.array(IDS), jnp.array(LAST), jnp.full(B, -1, jnp.int32))
    return step.starts, step.valid


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def normed(v: Any) -> Any:
    return (v - v.mean(-1, keepdims=True)) / (v.var(-1, keepdims=True) + 1e-5) ** 0.5


def step(name: str, p: dict[str, Any], state: Any, x: Any, tanh: Any, sigmoid: Any) -> Any:
    """The equations of one step, for a row or a batch, in numpy or JAX; state is (h, ..)."""
    h, rest = state[0], state[1:]
    w, u, b = p["kernel"], p["recurrent_kernel"], p["bias"]
    part = lambda v, n: v[..., n * N : (n + 1) * N]
    broad = lambda v: v.reshape((1,) * (x.ndim - 1) + v.shape)
    if name.startswith("rnn"):
        z = x @ w + h @ u + broad(b)
        return (z * (z > 0) if name == "rnn_relu" else tanh(z),)
    if name.startswith("gru"):
        v = x @ w + broad(b)
        r = sigmoid(part(v, 0) + h @ part(u, 0))
        z = sigmoid(part(v, 1) + h @ part(u, 1))
        if name == "gru":
            inner = r * (h @ part(u, 2) + broad(p["recurrent_bias"]))
        else:
            inner = (r * h) @ part(u, 2)
        return ((1 - z) * tanh(part(v, 2) + inner) + z * h,)
    (c,) = rest
    v = x @ w + h @ u + broad(b)
    if name == "layer_norm_lstm":
        v = broad(p["input_scale"]) * normed(x @ w) + broad(b)
        v = v + broad(p["recurrent_scale"]) * normed(h @ u)
    i, f, g, o = (part(v, n) for n in range(4))
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    inner = c
    if name == "layer_norm_lstm":
        inner = broad(p["cell_scale"]) * normed(c) + broad(p["cell_bias"])
    return sigmoid(o) * tanh(inner), c


def parameters(name: str) -> dict[str, Any]:
    """All arguments; states carry their leaves under state_0, .. and restart_0, .."""
    size, leaves = GATES[name] * N, 2 if "lstm" in name else 1
    shapes = {"x": (B, T, D), "kernel": (D, size), "recurrent_kernel": (N, size), "bias": (size,)}
    shapes |= {f"state_{n}": (B, N) for n in range(leaves)}
    shapes |= {f"restart_{n}": (1, N) for n in range(leaves)}
    if name == "gru":
        shapes["recurrent_bias"] = (N,)
    if name == "layer_norm_lstm":
        shapes |= {"input_scale": (size,), "recurrent_scale": (size,)}
        shapes |= {"cell_scale": (N,), "cell_bias": (N,)}
    keys = jax.random.split(jax.random.key(4), len(shapes))
    p = {n: jax.random.normal(k, s) for k, (n, s) in zip(keys, shapes.items(), strict=True)}
    return p | {"recurrent_kernel": p["recurrent_kernel"] / 2}  # else rectified states explode


def leaves(p: dict[str, Any], kind: str) -> tuple[Any, ...]:
    return tuple(value for name, value in p.items() if name.startswith(f"{kind}_"))


def ours(name: str, p: dict[str, Any], starts: Any, valid: Any) -> tuple[Any, tuple[Any, ...]]:
    weights = [p["kernel"], p["recurrent_kernel"], p["bias"]]
    op: Any = {"lstm": lstm, "layer_norm_lstm": layer_norm_lstm, "gru": gru, "rnn": rnn}.get(name)
    if name == "rnn_relu":
        op = functools.partial(rnn, relu=True)
    if name == "gru_reset_before":
        op = gru_reset_before
    if name == "gru":
        weights.append(p["recurrent_bias"])
    if name == "layer_norm_lstm":
        scales = (p["input_scale"], p["recurrent_scale"], p["cell_scale"], p["cell_bias"])
        weights.append(LayerNormLSTMParams(*scales))
    pack = (lambda s: LSTMState(*s)) if "lstm" in name else (lambda s: s[0])
    states = (pack(leaves(p, "state")), pack(leaves(p, "restart")))
    ys, after = op(p["x"], states[0], *weights, starts, valid, states[1])
    return ys, tuple(after) if "lstm" in name else (after,)


def by_autodiff(name: str, p: dict[str, Any], starts: Any, valid: Any) -> tuple[Any, Any]:
    def one(state: Any, x: Any) -> tuple[Any, Any]:
        state = step(name, p, state, x, jnp.tanh, jax.nn.sigmoid)
        return state, state[0]

    return recur(one, leaves(p, "state"), p["x"], leaves(p, "restart"), starts, valid)


def in_numpy(name: str, p: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """In float64, with the rule of the ids written out."""
    p = {name: np.asarray(value, np.float64) for name, value in p.items()}
    ys, after = np.zeros((B, T, N)), []
    for row in range(B):
        state, largest = tuple(s[row] for s in leaves(p, "state")), LAST[row]
        for t in range(T):
            if IDS[row, t] == 0:
                continue
            if IDS[row, t] > largest:
                state, largest = tuple(s[0] for s in leaves(p, "restart")), IDS[row, t]
            state = step(name, p, state, p["x"][row, t], np.tanh, sigmoid)
            ys[row, t] = state[0]
        after.append(np.stack(state))
    return ys, np.stack(after)


@pytest.mark.parametrize("name", GATES)
def test_it_is_the_equations_in_float64(name: str) -> None:
    p = parameters(name)
    ys, after = jax.jit(functools.partial(ours, name))(p, *moments())
    wanted, last = in_numpy(name, p)
    np.testing.assert_allclose(ys, wanted, **TOLERANCE["reference"])
    np.testing.assert_allclose(jnp.stack(after, 1), last, **TOLERANCE["reference"])


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("segmented", [False, True])
def test_gradients_are_autodiff_s_the_restart_state_s_too(name: str, segmented: bool) -> None:
    marks = moments() if segmented else (None, None)
    weights = jax.random.normal(jax.random.key(1), (B, T + 2, N))

    def loss(run: Any, p: dict[str, Any]) -> jax.Array:
        ys, after = run(name, p, *marks)
        everything = jnp.concatenate([ys, *(leaf[:, None] for leaf in after)], axis=1)
        return jnp.sum(weights[:, : everything.shape[1]] * jnp.sin(everything))

    p = parameters(name)
    got = jax.jit(jax.value_and_grad(lambda p: loss(ours, p)))(p)
    wanted = jax.jit(jax.value_and_grad(lambda p: loss(by_autodiff, p)))(p)
    for path, value in jax.tree.leaves_with_path(wanted):
        restart = "restart" in jax.tree_util.keystr(path)
        assert (np.abs(value).max() > 0) == (segmented or not restart), path
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, **TOLERANCE["gradient"]), got, wanted
    )


@pytest.mark.parametrize("name", GATES)
def test_products_take_the_dtype_of_the_input_and_the_state_stays_float32(name: str) -> None:
    p = parameters(name)
    # Few steps and small weights: a network of random ones of size 1 is chaotic.
    p = p | {"x": p["x"][:, :4], "recurrent_kernel": p["recurrent_kernel"] / 2}
    ys, after = ours(name, p | {"x": p["x"].astype(jnp.bfloat16)}, None, None)
    assert ys.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in after} == {jnp.dtype(jnp.float32)}
    exact = ours(name, p, None, None)[0]
    np.testing.assert_allclose(ys.astype(jnp.float32), exact, **TOLERANCE["bfloat16"])


@pytest.mark.parametrize("name", ["rnn", "gru"])
def test_a_document_moves_neither_the_values_nor_the_gradients_of_the_next(name: str) -> None:
    p = parameters(name)
    marks = moments()

    @jax.jit
    def second(x: jax.Array) -> jax.Array:
        return jnp.sum(jnp.sin(ours(name, p | {"x": x}, *marks)[0][0, 2:5]))

    np.testing.assert_array_equal(second(p["x"].at[0, :2].set(jnp.inf)), second(p["x"]))
    gradient = jax.grad(second)(p["x"])
    assert not gradient[0, :2].any()
    assert not gradient[0, 5:].any()
    assert gradient[0, 2:5].all()


def primitives_of_loops(jaxpr: Any, inside: bool = False) -> set[str]:
    """The primitives in the bodies of the loops of a program."""
    found: set[str] = set()
    for equation in jaxpr.eqns:
        if inside:
            found.add(equation.primitive.name)
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            found |= primitives_of_loops(inner, inside or equation.primitive.name == "scan")
    return found


@pytest.mark.parametrize("name", ["rnn", "gru", "gru_reset_before"])
def test_no_loop_takes_a_part_of_a_row(name: str) -> None:
    """XLA does not vectorise a loop over elements that begin in the middle of a row: a GRU whose
    gates are parts of one array takes twice the time on a CPU."""
    p = parameters(name)
    run = functools.partial(ours, name)

    def gradient(p: Any, *marks: Any) -> Any:
        return jax.vjp(lambda p: run(p, *marks)[0], p)[1](jnp.ones((B, T, N)))

    for program in (run, gradient):
        found = primitives_of_loops(jax.make_jaxpr(program)(p, *moments()).jaxpr)
        assert {"dot_general", "tanh"} & found and not {"slice", "concatenate", "split"} & found
