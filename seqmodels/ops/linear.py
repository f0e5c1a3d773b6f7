"""The bias of a linear map."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


@jax.custom_vjp
def add_bias(
    rows: Float[Array, "rows ..."], bias: Float[Array | np.ndarray, "..."]
) -> Float[Array, "rows ..."]:
    """rows + bias, in the dtype of the rows.

    The gradient of the bias is a sum over the rows, computed as a product with a row of ones. On a
    CPU, XLA's own sum along the first axis is many times slower; for a head with many outputs it
    takes as long as the product of the head.
    """
    return rows + bias.astype(rows.dtype)[None]


def _forward(rows: Array, bias: Array) -> tuple[Array, Array]:
    return add_bias(rows, bias), bias


def _backward(bias: Array, gradient: Array) -> tuple[Any, Any]:
    summed = jnp.tensordot(
        jnp.ones(gradient.shape[0], gradient.dtype),
        gradient,
        axes=1,
        precision=jax.lax.Precision.HIGHEST,
        preferred_element_type=jnp.float32,
    )
    return gradient, summed.astype(bias.dtype)


add_bias.defvjp(_forward, _backward)
