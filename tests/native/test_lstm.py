"""The LSTM in C++ against the loop of jax, which other tests hold to float64 and to PyTorch."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.benchmark.flops import hardware_flops
from seqmodels.native import library
from seqmodels.ops.lstm import FEWEST_STEPS, FEWEST_TOKENS, LSTMState, lstm
from tests.tolerances import TOLERANCE

pytestmark = pytest.mark.xdist_group("native")  # one process compiles them


def make(batch: int, length: int, inputs: int, size: int, marked: bool) -> dict[str, Any]:
    """Arguments of a layer; marked: with documents, padding and a learned first state."""
    rng = np.random.default_rng([batch, length, inputs, size])
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape) / np.sqrt(shape[-2]), jnp.float32)
    made = {
        "x": draw(batch, length, 1, inputs)[:, :, 0],
        "state": LSTMState(draw(batch, size), draw(batch, size)),
        "kernel": draw(inputs, 4 * size),
        "recurrent_kernel": draw(size, 4 * size),
        "bias": draw(1, 4 * size)[0],
    }
    if marked:
        made["restart_state"] = LSTMState(draw(1, size), draw(1, size))
        made["starts"] = jnp.asarray(rng.random((batch, length)) < 0.3)
        made["valid"] = jnp.asarray(rng.random((batch, length)) < 0.8)
    return made


def split(arguments: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments with a gradient, and marks."""
    marks = {name: arguments[name] for name in ("starts", "valid") if name in arguments}
    return {name: x for name, x in arguments.items() if name not in marks}, marks


def value_and_gradients(arguments: dict[str, Any], implementation: str) -> Any:
    weights, marks = split(arguments)

    @jax.jit
    def run(weights: Any) -> Any:
        def loss(weights: Any) -> tuple[jax.Array, Any]:
            y, state = lstm(**weights, **marks, implementation=implementation)
            leaves = [y, *state]
            total = sum(jnp.sum(jnp.sin(x * (n + 1))) for n, x in enumerate(leaves))
            return total, leaves

        return jax.value_and_grad(loss, has_aux=True)(weights)

    return run(weights)


# One row and one step; fewer units than a vector has, more rows than a block, sizes that fill
# nothing; more positions than one block of the weights' gradient.
SIZES = [
    (1, 1, 1, 1),
    (3, 7, 5, 20),
    (1, 40, 8, 16),
    (100, 3, 33, 7),
    (2, 200, 3, 33),
]


@pytest.mark.parametrize("marked", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
def test_values_and_gradients_are_those_of_the_loop(
    sizes: tuple[int, int, int, int], marked: bool
) -> None:
    arguments = make(*sizes, marked)
    (_, got), got_gradients = value_and_gradients(arguments, "native")
    (_, wanted), gradients = value_and_gradients(arguments, "loop")
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, **TOLERANCE["chunking"])
    for (path, a), b in zip(
        jax.tree.leaves_with_path(got_gradients), jax.tree.leaves(gradients), strict=True
    ):
        scale = max(1.0, float(np.abs(b).max()))
        np.testing.assert_allclose(a / scale, b / scale, **TOLERANCE["gradient"], err_msg=str(path))


def test_large_numbers_saturate_and_nan_stays_in_its_row() -> None:
    arguments = make(3, 5, 4, 8, marked=False)
    arguments["x"] = arguments["x"].at[0].set(1e30).at[1, 2].set(jnp.nan)
    y, state = lstm(**arguments, implementation="native")
    wanted, _ = lstm(**arguments, implementation="loop")
    np.testing.assert_allclose(y, wanted, **TOLERANCE["chunking"])
    assert np.abs(y[0]).max() <= 1
    assert np.isnan(y[1, 2:]).all()
    assert np.isfinite(y[2]).all()
    assert np.isfinite(state.cell[2]).all()


def test_a_row_has_the_same_bits_whatever_is_beside_it() -> None:
    arguments = make(27, 9, 6, 20, marked=True)
    whole, _ = lstm(**arguments, implementation="native")
    rows = ("x", "state", "starts", "valid")
    for row in (0, 13, 26):
        part = {n: jax.tree.map(lambda a: a[row : row + 1], arguments[n]) for n in rows}  # noqa: B023
        alone, _ = lstm(**(arguments | part), implementation="native")
        np.testing.assert_array_equal(alone[0], whole[row])


def test_runs_side_by_side_are_mapped() -> None:
    """As `training.pack` does, over weights and inputs."""
    packs = [split(make(2, 9, 3, 5, marked=False))[0] for _ in range(2)]
    packs[1] = jax.tree.map(lambda a: a + 0.1, packs[1])
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *packs)

    def gradient(weights: Any) -> Any:
        loss = lambda w: jnp.sum(jnp.sin(lstm(**w, implementation="native")[0]))
        return jax.grad(loss)(weights)

    got = jax.jit(jax.vmap(gradient))(stacked)
    for n, pack in enumerate(packs):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a[n], b, **TOLERANCE["rounding"]),  # noqa: B023
            got,
            jax.jit(gradient)(pack),
        )


def test_operations_are_counted_as_those_of_the_loop() -> None:
    arguments, _ = split(make(2, 9, 3, 5, marked=False))

    def gradient(implementation: str) -> Any:
        return jax.grad(lambda w: jnp.sum(lstm(**w, implementation=implementation)[0]))

    counts = {name: hardware_flops(gradient(name), arguments) for name in ("loop", "native")}
    assert counts["native"] == counts["loop"] > 0


def programs(monkeypatch: pytest.MonkeyPatch, switch: str, arguments: dict[str, Any]) -> str:
    monkeypatch.setenv(library.SWITCH, switch)
    return str(jax.make_jaxpr(lambda w: lstm(**w)[0])(arguments))


def test_auto_is_the_kernel_for_float32_from_some_length_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = FEWEST_TOKENS // FEWEST_STEPS
    long, short = (make(rows, FEWEST_STEPS - n, 3, 5, marked=False) for n in (0, 1))
    assert "ffi_call" in programs(monkeypatch, "1", long)
    assert "ffi_call" not in programs(monkeypatch, "0", long)
    assert "ffi_call" not in programs(monkeypatch, "1", short)
    half = long | {"x": long["x"].astype(jnp.bfloat16)}
    assert "ffi_call" not in programs(monkeypatch, "1", half)
    monkeypatch.setattr(jax, "device_count", lambda: 2)
    assert "ffi_call" not in programs(monkeypatch, "1", long)


def test_a_kernel_by_name_refuses_what_it_cannot_do() -> None:
    arguments = make(2, 9, 3, 5, marked=False)
    arguments["x"] = arguments["x"].astype(jnp.bfloat16)
    with pytest.raises(ValueError, match="for float32 only, not bfloat16"):
        lstm(**arguments, implementation="native")
