"""Linear cells against float64 numpy, written from the equations of their papers."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.layers.linear_recurrent import AarenCell, LRUCell, MinGRUCell, MinLSTMCell
from seqmodels.ops.positions import advance
from seqmodels.ops.scan import linear_scan
from tests.tolerances import TOLERANCE

B, T, D, N, H = 3, 7, 5, 6, 2
IDS = np.array([[1, 1, 2, 2, 2, 3, 3], [1, 0, 1, 0, 0, 2, 2], [0, 0, 1, 1, 1, 1, 0]], np.int32)
CELLS = {"min_gru": MinGRUCell, "min_lstm": MinLSTMCell, "lru": LRUCell, "aaren": AarenCell}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def min_gru(p: Any, x: np.ndarray) -> np.ndarray:
    """One document [T, D] from zeros, like the functions below."""
    h, ys = np.zeros(N), []
    for step in x @ p["gates"]["kernel"] + p["gates"]["bias"]:
        z, new = sigmoid(step[:N]), step[N:]
        h = (1 - z) * h + z * new
        ys.append(h)
    return np.stack(ys)


def min_lstm(p: Any, x: np.ndarray) -> np.ndarray:
    h, ys = np.zeros(N), []
    for step in x @ p["gates"]["kernel"] + p["gates"]["bias"]:
        f, i, new = sigmoid(step[:N]), sigmoid(step[N : 2 * N]), step[2 * N :]
        h = f / (f + i) * h + i / (f + i) * new
        ys.append(h)
    return np.stack(ys)


def lru(p: Any, x: np.ndarray) -> np.ndarray:
    eigenvalue = np.exp(-np.exp(p["nu"]) + 1j * np.exp(p["theta"]))
    into = p["input"]["kernel"][:, :N] + 1j * p["input"]["kernel"][:, N:]
    out = p["output"]["kernel"][:N] + 1j * p["output"]["kernel"][N:]
    h, ys = np.zeros(N, complex), []
    for step in x:
        h = eigenvalue * h + np.exp(p["gamma"]) * (step @ into)
        ys.append((h @ out).real + step @ p["skip"]["kernel"])
    return np.stack(ys)


def aaren(p: Any, x: np.ndarray) -> np.ndarray:
    """Attention of one query under a causal mask: the softmax over all tokens so far."""
    s, k = p["scores"], N // H
    query = np.einsum("d,dhk->hk", s["query_token"], s["query_kernel"]) + s["query_bias"]
    keys = np.einsum("td,dhk->thk", x, s["key_kernel"]) + s["key_bias"]
    values = np.einsum("td,dhk->thk", x, p["value"]["kernel"]) + p["value"]["bias"]
    scores = np.einsum("hk,thk->ht", query, keys) / math.sqrt(k)
    masked = np.where(np.tri(len(x), dtype=bool)[None], scores[:, None], -np.inf)  # [H, T, S]
    weights = np.exp(masked - masked.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    attended = np.einsum("hts,shk->thk", weights, values).reshape(len(x), N)
    return attended @ p["out"]["kernel"] + p["out"]["bias"]


NAIVE = {"min_gru": min_gru, "min_lstm": min_lstm, "lru": lru, "aaren": aaren}


def build(name: str, **fields: Any) -> nn.Module:
    fields = ({"num_heads": H} if name == "aaren" else {}) | fields
    return CELLS[name](N, **fields)


def inputs() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(B, T, D)).astype(np.float32)


def parameters(cell: Any, far: float = 0.3) -> Any:
    def start(key: jax.Array) -> Any:
        def run(cell: Any, x: jax.Array) -> Any:
            return cell(x, cell.initial_state(x.shape[0]))

        params = nn.unbox(cell.init(key, jnp.zeros((1, 1, D)), method=run)["params"])
        flat, structure = jax.tree.flatten(params)
        keys = jax.random.split(key, len(flat))
        moved = [x + far * jax.random.normal(k, x.shape) for k, x in zip(keys, flat, strict=True)]
        return jax.tree.unflatten(structure, moved)

    return jax.jit(start)(jax.random.key(0))


def places(ids: np.ndarray) -> tuple[jax.Array, jax.Array]:
    zeros = jnp.zeros(len(ids), jnp.int32)
    step = advance(jnp.asarray(ids), zeros, zeros - 1)
    return step.starts, step.valid


def call(cell: Any) -> Any:
    """(params, x, state or None, starts, valid) -> (y, state), jitted."""

    @jax.jit
    def run(params: Any, x: Any, state: Any, *marks: Any) -> Any:
        variables = {"params": params}
        if state is None:
            state = cell.apply(variables, x.shape[0], method="initial_state")
        return cell.apply(variables, x, state, *marks)

    return run


@pytest.mark.parametrize("name", CELLS)
def test_cells_are_their_equations_in_float64(name: str) -> None:
    """Packed documents, padding inside and around them; each from zeros."""
    cell, x = build(name), inputs()
    params = parameters(cell)
    got, _ = call(cell)(params, x, None, *places(IDS))
    exact = jax.tree.map(lambda p: np.asarray(p, np.float64), params)
    wanted = np.zeros((B, T, N))
    for row in range(B):
        for n in np.unique(IDS[row, IDS[row] > 0]):
            at = np.flatnonzero(IDS[row] == n)
            wanted[row, at] = NAIVE[name](exact, x[row, at].astype(np.float64))
    np.testing.assert_allclose(got, wanted, **TOLERANCE["reference"])


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("learned", [False, True])
def test_cells_may_be_cut_and_documents_stand_alone(name: str, learned: bool) -> None:
    cell, x = build(name, learned_initial_state=learned), inputs()
    params, (starts, valid) = parameters(cell), places(IDS)
    run = call(cell)
    whole, last = run(params, x, None, starts, valid)
    state, pieces = None, []
    for part in (slice(0, 3), slice(3, 4), slice(4, T)):
        y, state = run(params, x[:, part], state, starts[:, part], valid[:, part])
        pieces.append(y)
    np.testing.assert_allclose(np.concatenate(pieces, 1), whole, **TOLERANCE["chunking"])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, **TOLERANCE["chunking"]), state, last
    )
    alone, _ = run(params, x[:, 2:5], None)
    np.testing.assert_allclose(alone[0], whole[0, 2:5], **TOLERANCE["chunking"])
    assert not np.asarray(whole)[IDS == 0].any()
    if learned:
        zero = call(build(name))({k: v for k, v in params.items() if "initial" not in k}, x, None)
        assert (np.asarray(zero[0])[:, 0] != np.asarray(run(params, x, None)[0])[:, 0]).any()


@pytest.mark.parametrize("name", CELLS)
def test_a_learned_initial_state_has_a_gradient_from_every_document(name: str) -> None:
    cell, x = build(name, learned_initial_state=True), inputs()
    params, marks = parameters(cell), places(IDS)
    run = call(cell)
    late = jnp.asarray(IDS == 2)[..., None]  # documents that no chunk begins with
    gradient = jax.grad(lambda p: jnp.sum(jnp.sin(run(p, x, None, *marks)[0]) * late))(params)
    for path, value in jax.tree.leaves_with_path(gradient):
        if "initial" in jax.tree_util.keystr(path):
            assert np.isfinite(value).all() and np.all(value != 0), path


@pytest.mark.parametrize("name", CELLS)
def test_the_state_has_the_same_size_after_any_number_of_tokens(name: str) -> None:
    cell = build(name)
    params, sizes = parameters(cell), []
    for length in (1, 3, 10**6):
        x = jax.ShapeDtypeStruct((B, length, D), jnp.float32)
        _, state = jax.eval_shape(call(cell), params, x, None)
        sizes.append(sum(math.prod(leaf.shape) * 4 for leaf in jax.tree.leaves(state)))
    per_row = {"min_gru": N, "min_lstm": N, "lru": 2 * N, "aaren": N + 2 * H}[name]
    assert sizes == [4 * B * per_row] * 3


@pytest.mark.parametrize("name", CELLS)
def test_bfloat16_keeps_a_float32_state(name: str) -> None:
    x, exact = inputs(), build(name)
    params = parameters(exact, far=0.0)
    y, state = call(build(name, dtype=jnp.bfloat16))(params, x, None)
    assert y.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(state)} == {jnp.dtype(jnp.float32)}
    wanted = call(exact)(params, x, None)[0]
    np.testing.assert_allclose(y.astype(jnp.float32), wanted, **TOLERANCE["bfloat16"])


def test_closed_gates_of_a_min_lstm_still_add_up_to_one() -> None:
    """With f and i of e^-200 each, f / (f + i) is 1/2 and not 0/0."""
    cell = build("min_lstm")
    params = parameters(cell)
    bias = np.concatenate([np.full(2 * N, -200.0), np.ones(N)]).astype(np.float32)
    params = {"gates": {"kernel": jnp.zeros((D, 3 * N)), "bias": jnp.asarray(bias)}}
    y, _ = call(cell)(params, inputs(), None)
    wanted = np.broadcast_to(1 - 0.5 ** np.arange(1, T + 1)[None, :, None], y.shape)
    np.testing.assert_allclose(y, wanted, **TOLERANCE["reference"])


def test_lru_starts_on_its_ring_with_a_state_of_unit_gain() -> None:
    cell = LRUCell(400, min_radius=0.5, max_radius=0.9)
    params = parameters(cell, far=0.0)
    radius = np.exp(-np.exp(np.asarray(params["nu"], np.float64)))
    assert radius.min() >= 0.5 and radius.max() <= 0.9
    # Even over the area: half of the points lie inside the circle of half the area.
    middle = math.sqrt((0.5**2 + 0.9**2) / 2)
    assert abs((radius < middle).mean() - 0.5) < 5 * 0.5 / math.sqrt(400)
    angle = np.exp(np.asarray(params["theta"]))
    assert angle.min() >= 0 and angle.max() <= 2 * math.pi + 1e-5
    assert abs(angle.mean() - math.pi) < 5 * math.pi / math.sqrt(3 * 400)
    gain = np.exp(2 * np.asarray(params["gamma"], np.float64))
    np.testing.assert_allclose(gain, 1 - radius**2, **TOLERANCE["reference"])


def log_space(a_log: Any, b_log: Any) -> Any:
    """The papers' parallel form, log h_t = A_t + logcumsumexp(b - A), A = cumsum(a), h_0 = 0."""
    total = jnp.cumsum(a_log, axis=1)
    return jnp.exp(total + jax.lax.cumlogsumexp(b_log - total, axis=1))


@pytest.mark.parametrize("name", ["min_gru", "min_lstm"])
def test_on_positive_inputs_the_scan_is_the_log_space_form(name: str) -> None:
    """The paper's g(n) = n + 1/2 or sigmoid(n), always positive, in place of n."""
    cell, parts = build(name), 2 if name == "min_gru" else 3
    length = 256
    x = np.random.default_rng(1).normal(size=(1, length, D)).astype(np.float32)
    params = parameters(cell)
    product = x @ params["gates"]["kernel"] + params["gates"]["bias"][None, None]
    gates = jnp.split(product, parts, axis=-1)
    new = jnp.where(gates[-1] >= 0, gates[-1] + 0.5, nn.sigmoid(gates[-1]))
    if name == "min_gru":
        a_log, i_log = nn.log_sigmoid(-gates[0]), nn.log_sigmoid(gates[0])
    else:
        odds = nn.softplus(-gates[0]) - nn.softplus(-gates[1])
        a_log, i_log = -nn.softplus(odds), -nn.softplus(-odds)
    wanted = log_space(a_log, i_log + jnp.log(new))
    a, b = cell.apply({"params": params}, *gates[:-1], new, method="coefficients")
    got = linear_scan(a, b, jnp.zeros((1, N)))
    np.testing.assert_allclose(got, wanted, **TOLERANCE["decoding"])


def test_aaren_s_huge_scores_are_softmax_s() -> None:
    cell, x = build("aaren"), inputs()
    params = parameters(cell)
    params["scores"]["query_token"] *= 1e4
    run = call(cell)
    exact = jax.tree.map(lambda p: np.asarray(p, np.float64), params)
    got, _ = run(params, x, None)
    assert np.isfinite(got).all()
    gradient = jax.grad(lambda p: jnp.sum(jnp.sin(run(p, x, None)[0])))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    for row in range(B):
        wanted = aaren(exact, x[row].astype(np.float64))
        np.testing.assert_allclose(got[row], wanted, **TOLERANCE["reference"])
