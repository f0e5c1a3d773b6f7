"""Both directions with padding and documents, and stacks."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.layers.cells import GRUCell, LSTMCell, RNNCell
from seqmodels.layers.recurrent import Bidirectional, RecurrentStack
from seqmodels.ops.positions import advance
from seqmodels.ops.recurrent import document_ends
from tests.tolerances import TOLERANCE

B, T, D, N = 3, 8, 5, 4
IDS = np.array(
    [[1, 1, 2, 2, 2, 3, 3, 3], [0, 1, 0, 1, 0, 2, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0]], np.int32
)
CELLS = {"gru": lambda: GRUCell(N, learned_initial_state=True), "lstm": lambda: LSTMCell(N)}


def moments() -> tuple[jax.Array, jax.Array]:
    step = advance(jnp.array(IDS), jnp.zeros(B, jnp.int32), jnp.full(B, -1, jnp.int32))
    return step.starts, step.valid


def random_params(module: Any, x: Any) -> Any:
    def init(key: Any) -> Any:
        return module.init(key, x, method=lambda m, x: m(x, m.initial_state(x.shape[0])))

    params = nn.unbox(jax.jit(init)(jax.random.key(0)))["params"]
    flat, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(flat))
    moved = [p + 0.5 * jax.random.normal(k, p.shape) for p, k in zip(flat, keys, strict=True)]
    return jax.tree.unflatten(structure, moved)


def run(cell: Any, x: Any, starts: Any = None, valid: Any = None) -> Any:
    return cell(x, cell.initial_state(x.shape[0]), starts, valid)


def test_document_ends_are_the_last_tokens_before_another_document() -> None:
    got = np.asarray(document_ends(*moments()))
    wanted = np.zeros((B, T), bool)
    wanted[0, [1, 4]] = wanted[1, 3] = True
    np.testing.assert_array_equal(got, wanted)
    full = jnp.asarray([[True, False, True, True]])
    np.testing.assert_array_equal(document_ends(full, None), [[False, True, True, False]])
    assert document_ends(None, None) is None


@pytest.mark.parametrize("name", CELLS)
def test_each_document_is_read_from_both_ends_by_itself(name: str) -> None:
    """Against cells that read one document at a time, without padding, in both directions."""
    module = Bidirectional(CELLS[name])
    x = jax.random.normal(jax.random.key(2), (B, T, D))
    params = random_params(module, x)
    call = jax.jit(lambda x: module.apply({"params": params}, x, *moments(), method=run))
    y, state = call(x)
    one = CELLS[name]()
    alone = jax.jit(lambda p, x: one.apply({"params": p}, x, method=run))
    for row in range(B):
        for n in np.unique(IDS[row][IDS[row] > 0]):
            places = np.flatnonzero(IDS[row] == n)
            forward, after = alone(params["forward"], x[row : row + 1, places])
            backward, before = alone(params["backward"], x[row : row + 1, places[::-1]])
            wanted = np.concatenate([forward[0], backward[0, ::-1]], axis=-1)
            np.testing.assert_allclose(y[row, places], wanted, **TOLERANCE["reference"])
            for way, last, place in (("forward", after, -1), ("backward", before, 0)):
                if n == IDS[row][IDS[row] > 0][place]:
                    for got, wanted in zip(*map(jax.tree.leaves, (state[way], last)), strict=True):
                        np.testing.assert_allclose(got[row], wanted[0], **TOLERANCE["reference"])
    assert not np.asarray(y)[IDS == 0].any()
    assert np.asarray(y)[IDS > 0].all()


def test_nothing_leaks_between_documents_and_out_of_padding() -> None:
    """Padding moves neither values nor gradients, in either direction."""
    module = Bidirectional(CELLS["gru"])
    x = jax.random.normal(jax.random.key(2), (B, T, D))
    params = random_params(module, x)

    @jax.jit
    def jacobian(x: Any) -> Any:
        outputs = lambda x: module.apply({"params": params}, x, *moments(), method=run)[0].sum(-1)
        return jnp.abs(jax.jacobian(outputs)(x)).sum(-1)  # [row, T, row, T]

    same = (IDS[:, :, None] == IDS[:, None]) & (IDS[:, :, None] > 0)
    wanted = same[:, :, None] & np.eye(B, dtype=bool)[:, None, :, None]
    np.testing.assert_array_equal(np.asarray(jacobian(x)) > 0, wanted)


@pytest.mark.grid
def test_layers_keep_their_order_when_there_are_more_than_ten() -> None:
    """jit sorts the names of a state that it receives, but not of one built inside."""
    stack = RecurrentStack(lambda: RNNCell(N, learned_initial_state=True), 11)
    x = jax.random.normal(jax.random.key(2), (B, 6, N))
    start = lambda stack, x: stack(x, stack.initial_state(B), train=False)
    init = jax.jit(lambda key: stack.init(key, x, method=start))
    variables = nn.unbox(init(jax.random.key(0)))
    for n in range(11):
        variables["params"][f"cells_{n}"]["initial_state"] = jnp.full(N, n / 10)
    whole, _ = jax.jit(lambda x: stack.apply(variables, x, method=start))(x)
    call = jax.jit(lambda x, state: stack.apply(variables, x, state, train=False))
    first, state = call(x[:, :3], stack.apply(variables, B, method="initial_state"))
    second, _ = call(x[:, 3:], state)
    joined = np.concatenate([first, second], axis=1)
    np.testing.assert_allclose(joined, whole, **TOLERANCE["chunking"])
