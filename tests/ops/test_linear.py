"""The bias of a linear map, against float64 numpy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.ops.linear import add_bias
from tests.tolerances import TOLERANCE

ROWS, H, K = 7, 3, 4


@pytest.mark.parametrize("shape", [(H,), (2, H, K)])
def test_a_bias_is_added_and_its_gradient_is_the_sum_of_the_rows_s(shape: tuple[int, ...]) -> None:
    rows = jax.random.normal(jax.random.key(0), (ROWS, *shape))
    bias = jax.random.normal(jax.random.key(1), shape)
    weights = jax.random.normal(jax.random.key(2), rows.shape)
    np.testing.assert_array_equal(add_bias(rows, bias), np.asarray(rows) + np.asarray(bias))
    of_rows, of_bias = jax.grad(lambda *x: (weights * add_bias(*x)).sum(), argnums=(0, 1))(
        rows, bias
    )
    np.testing.assert_array_equal(of_rows, weights)
    np.testing.assert_allclose(
        of_bias, np.asarray(weights, np.float64).sum(axis=0), **TOLERANCE["reference"]
    )


def test_a_bias_keeps_its_float32_where_the_rows_are_bfloat16() -> None:
    rows = jnp.ones((1024, H), jnp.bfloat16)
    bias = jnp.full(H, 0.5)
    assert add_bias(rows, bias).dtype == jnp.bfloat16
    gradient = jax.grad(lambda b: add_bias(rows, b).astype(jnp.float32).sum())(bias)
    assert gradient.dtype == jnp.float32
    np.testing.assert_array_equal(gradient, np.full(H, 1024.0))  # bfloat16 would stop at 256
