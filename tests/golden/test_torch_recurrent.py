"""Stacks of our cells against PyTorch: outputs, last states and gradients."""

from __future__ import annotations

import pathlib
from typing import Any

import jax
import numpy as np
import pytest

from tests.golden.torch_recurrent import GOLDEN, Shape, ours, params_of
from tests.tolerances import TOLERANCE

HERE = pathlib.Path(__file__).parent


def part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def theirs(shape: Shape, arrays: dict[str, np.ndarray]) -> tuple[Any, Any]:
    """PyTorch's numbers in the form of the results of `ours`."""
    by_states = tuple(part(arrays, "by_state/").values())
    by_params = params_of(shape, part(arrays, "grad/"), gradient=True)
    return tuple(part(arrays, "output/").values()), (by_params, arrays["by_x"], by_states)


@pytest.mark.parametrize("name", GOLDEN)
def test_outputs_states_and_gradients_equal_pytorch(name: str) -> None:
    shape = GOLDEN[name]
    with np.load(HERE / "torch_recurrent.npz") as stored:
        arrays = part(dict(stored), f"{name}/")
    outputs, gradients = ours(shape, params_of(shape, part(arrays, "param/")), arrays)
    wanted = theirs(shape, arrays)
    for got, one in zip(outputs, wanted[0], strict=True):
        np.testing.assert_allclose(got, one, **TOLERANCE["reference"])
    assert jax.tree.structure(gradients) == jax.tree.structure(wanted[1])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, **TOLERANCE["gradient"]),
        gradients,
        wanted[1],
    )
