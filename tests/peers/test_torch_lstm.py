"""Our LSTM cell against torch.nn.LSTM: outputs, last state and gradients, run side by side."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.layers.cells import LSTMCell
from seqmodels.ops.lstm import LSTMState
from tests.tolerances import TOLERANCE

torch = pytest.importorskip("torch", reason="make test-peers installs it")


def peer(size: tuple[int, int, int, int], x: np.ndarray, state: LSTMState, seed: int) -> Any:
    """torch's results, and its parameters in the layout of `LSTMCell`."""
    _, _, d, n = size
    torch.manual_seed(seed)
    lstm = torch.nn.LSTM(d, n, batch_first=True)
    inputs = torch.tensor(x, requires_grad=True)
    first = [torch.tensor(np.asarray(part))[None].requires_grad_() for part in state]
    y, (h, c) = lstm(inputs, tuple(first))
    (y.square().sum() + (2 * h).sum() + c.sum()).backward()
    array = lambda t: t.detach().numpy()
    params = {
        "kernel": array(lstm.weight_ih_l0).T,
        "recurrent_kernel": array(lstm.weight_hh_l0).T,
        "bias": array(lstm.bias_ih_l0) + array(lstm.bias_hh_l0),
    }
    grads = {
        "kernel": array(lstm.weight_ih_l0.grad).T,
        "recurrent_kernel": array(lstm.weight_hh_l0.grad).T,
        "bias": array(lstm.bias_ih_l0.grad),
        "x": array(inputs.grad),
        "h": array(first[0].grad)[0],
        "c": array(first[1].grad)[0],
    }
    return params, grads, (array(y), array(h)[0], array(c)[0])


@pytest.mark.parametrize("size", [(2, 5, 12, 7), (3, 1, 4, 5), (1, 40, 6, 11)])
@pytest.mark.parametrize("seed", range(3))
def test_equals_torch(size: tuple[int, int, int, int], seed: int) -> None:
    b, t, d, n = size
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(b, t, d)).astype(np.float32)
    h, c = (jnp.asarray(rng.normal(size=(b, n)), jnp.float32) for _ in range(2))
    state = LSTMState(h, c)
    params, grads, expected = peer(size, x, state, seed)
    cell = LSTMCell(n)

    def loss(params: Any, x: jax.Array, state: LSTMState) -> tuple[jax.Array, Any]:
        y, last = cell.apply({"params": params}, x, state)
        total = jnp.square(y).sum() + (2 * last.hidden).sum() + last.cell.sum()
        return total, (y, last.hidden, last.cell)

    call = jax.jit(jax.grad(loss, argnums=(0, 1, 2), has_aux=True))
    (by_params, by_x, by_state), got = call(params, jnp.asarray(x), state)
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, **TOLERANCE["reference"])
    ours = {**by_params, "x": by_x, "h": by_state.hidden, "c": by_state.cell}
    for name, theirs in grads.items():
        np.testing.assert_allclose(ours[name], theirs, **TOLERANCE["gradient"], err_msg=name)
