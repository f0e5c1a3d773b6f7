"""Operations counted in a jaxpr, against formulas."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from seqmodels.benchmark.flops import hardware_flops, model_flops

A, B = jax.ShapeDtypeStruct((3, 5, 7), jnp.float32), jax.ShapeDtypeStruct((3, 7, 11), jnp.float32)
PRODUCT = 2 * 3 * 5 * 7 * 11


def product(a: jax.Array, b: jax.Array) -> jax.Array:
    return a @ b


def test_a_product_and_its_gradient() -> None:
    assert hardware_flops(product, A, B) == PRODUCT
    assert hardware_flops(jax.jit(product), A, B) == PRODUCT
    gradient = jax.grad(lambda a, b: jnp.sum(jnp.tanh(product(a, b))), (0, 1))
    assert hardware_flops(gradient, A, B) == 3 * PRODUCT


def test_what_a_checkpoint_recomputes_counts() -> None:
    inner = jax.checkpoint(lambda a, b: jnp.tanh(product(a, b)))
    gradient = jax.grad(lambda a, b: jnp.sum(inner(a, b) ** 2), (0, 1))
    assert hardware_flops(gradient, A, B) == 4 * PRODUCT


def test_the_body_of_a_scan_counts_as_often_as_it_runs() -> None:
    def looped(h: jax.Array, u: jax.Array) -> jax.Array:
        return jax.lax.scan(lambda h, _: (jnp.tanh(h @ u), None), h, None, length=13)[0]

    h, u = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((2, 4), (4, 4)))
    assert hardware_flops(looped, h, u) == 13 * 2 * 2 * 4 * 4


def test_the_larger_branch_counts() -> None:
    def either(a: jax.Array, b: jax.Array) -> jax.Array:
        return jax.lax.cond(a[0, 0, 0] > 0, lambda: a @ b, lambda: jnp.zeros((3, 5, 11)))

    assert hardware_flops(either, A, B) == PRODUCT


def test_a_convolution() -> None:
    x = jax.ShapeDtypeStruct((2, 9, 4), jnp.float32)
    kernel = jax.ShapeDtypeStruct((3, 4, 6), jnp.float32)
    convolve = lambda x, k: jax.lax.conv_general_dilated(
        x, k, (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")
    )
    assert hardware_flops(convolve, x, kernel) == 2 * (2 * 7 * 6) * 3 * 4


def test_needed_operations_of_a_transformer() -> None:
    """12 D^2 per layer and token, and 4 D per pair of tokens, of which half are needed."""
    width = 24

    def forward(length: int) -> int:
        return 2 * 12 * width**2 * length + 4 * width * length**2

    every = model_flops(forward, 100, causal=False, has_gradient=False)
    assert every == forward(100)
    half = model_flops(forward, 100, causal=True, has_gradient=True)
    assert half == 3 * (24 * width**2 * 100 + 2 * width * 100**2)
