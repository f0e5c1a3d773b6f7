"""Residual blocks against their equations, and cut anywhere."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.transformers import NormPlacement
from seqmodels.layers.linear_recurrent import MinGRUCell
from seqmodels.layers.recurrent_block import ResidualBlock, ResidualStack
from seqmodels.ops.positions import advance
from tests.tolerances import TOLERANCE

B, T, D, N, F, L = 2, 7, 6, 4, 5, 2
IDS = np.array([[1, 1, 1, 2, 2, 2, 2], [1, 0, 1, 1, 0, 2, 2]], np.int32)


def build(num_layers: int = L, **block: Any) -> tuple[Any, Any]:
    make_cell = lambda: MinGRUCell(N)
    stack = ResidualStack(lambda: ResidualBlock(make_cell, D, **block), num_layers)

    def run(stack: Any, x: jax.Array) -> Any:
        return stack(x, stack.initial_state(1), train=False)

    make = lambda key: nn.unbox(stack.init(key, jnp.zeros((1, 1, D)), method=run)["params"])
    params = jax.jit(make)(jax.random.key(0))
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [x + 0.3 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)]
    return stack, jax.tree.unflatten(structure, moved)


def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(B, T, D)).astype(np.float32)


def norm(p: Any, x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * p["scale"] + p["bias"]


def dense(p: Any, x: np.ndarray) -> np.ndarray:
    return x @ p["kernel"] + p["bias"]


def mixed(p: Any, x: np.ndarray) -> np.ndarray:
    """Convolution, minGRU and linear map of one document [T, D]."""
    kernel = p["convolution"]["kernel"]
    padded = np.pad(x, ((len(kernel) - 1, 0), (0, 0)))
    x = sum(tap * padded[w : w + len(x)] for w, tap in enumerate(kernel)) + p["convolution"]["bias"]
    h, ys = np.zeros(N), []
    for step in dense(p["cell"]["gates"], x):
        z = 1 / (1 + np.exp(-step[:N]))
        h = (1 - z) * h + z * step[N:]
        ys.append(h)
    return dense(p["out"], np.stack(ys))


def fed(p: Any, x: np.ndarray) -> np.ndarray:
    x = dense(p["wide"], x)
    gelu = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return dense(p["out"], gelu)


@pytest.mark.parametrize("placement", NormPlacement)
def test_a_block_is_its_equations_in_float64(placement: NormPlacement) -> None:
    stack, params = build(mlp_dim=F, convolution_width=3, norm_placement=placement)
    x = values()[:1]
    run = lambda p, x: stack.apply({"params": p}, x, initial(stack, p, 1), train=False)[0]
    got = jax.jit(run)(params, x)[0]
    p, y = jax.tree.map(lambda a: np.asarray(a, np.float64), params), x[0].astype(np.float64)
    pre = placement is NormPlacement.PRE
    for n in range(L):
        block = p[f"blocks_{n}"]
        if pre:
            y = y + mixed(block, norm(block["cell_norm"], y))
            y = y + fed(block["feedforward"], norm(block["feedforward_norm"], y))
        else:
            y = norm(block["cell_norm"], y + mixed(block, y))
            y = norm(block["feedforward_norm"], y + fed(block["feedforward"], y))
    y = norm(p["final_norm"], y) if pre else y
    np.testing.assert_allclose(got, y, **TOLERANCE["reference"])


def initial(stack: Any, params: Any, batch_size: int) -> Any:
    return stack.apply({"params": params}, batch_size, method="initial_state")


@pytest.mark.parametrize("convolution_width", [None, 3])
def test_a_stack_may_be_cut_inside_documents_and_padding(convolution_width: int | None) -> None:
    stack, params = build(convolution_width=convolution_width)
    step = advance(jnp.asarray(IDS), jnp.zeros(B, jnp.int32), jnp.full(B, -1, jnp.int32))
    run = jax.jit(lambda x, s, *marks: stack.apply({"params": params}, x, s, *marks, train=False))
    x, state = values(), initial(stack, params, B)
    whole, _ = run(x, state, step.starts, step.valid)
    pieces = []
    for part in (slice(0, 2), slice(2, 3), slice(3, T)):
        y, state = run(x[:, part], state, step.starts[:, part], step.valid[:, part])
        pieces.append(y)
    got = np.concatenate(pieces, 1)
    np.testing.assert_allclose(got[IDS > 0], whole[IDS > 0], **TOLERANCE["chunking"])
    alone, _ = run(x[:1, 3:], initial(stack, params, 1))
    np.testing.assert_allclose(whole[0, 3:], alone[0], **TOLERANCE["chunking"])
    skipped, _ = run(x[1:, np.array([0, 2, 3])], initial(stack, params, 1))
    np.testing.assert_allclose(whole[1, [0, 2, 3]], skipped[0], **TOLERANCE["chunking"])


def test_eleven_layers_keep_their_states_apart() -> None:
    """jit returns a state with sorted names, layer_10 before layer_2."""
    stack, params = build(num_layers=11)
    run = jax.jit(lambda x, s: stack.apply({"params": params}, x, s, train=False))
    x, state = values(), initial(stack, params, B)
    whole, _ = run(x[:, :3], state)
    for t in range(3):
        y, state = run(x[:, t, None], state)
        np.testing.assert_allclose(y[:, 0], whole[:, t], **TOLERANCE["chunking"])


def test_parts_that_are_none_have_no_parameters() -> None:
    _, params = build()
    assert set(params["blocks_0"]) == {"cell", "cell_norm", "out"}
    assert set(params) == {"blocks_0", "blocks_1", "final_norm"}
    _, params = build(norm_placement=NormPlacement.POST)
    assert "final_norm" not in params
