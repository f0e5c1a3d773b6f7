"""Attention in C++ against the blocks of jax, which other tests hold to float64 and to PyTorch."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.benchmark.flops import hardware_flops
from seqmodels.native import library
from seqmodels.ops.attention import FEWEST_NATIVE, attention
from seqmodels.ops.masks import Positions
from tests.tolerances import TOLERANCE

pytestmark = pytest.mark.xdist_group("native")


def draw(*shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(shape).normal(size=shape), jnp.float32)


def documents(batch: int, length: int) -> Positions:
    """Rows of several documents, with padding inside and behind them."""
    rng = np.random.default_rng([batch, length])
    segments = np.sort(rng.integers(1, 4, (batch, length)), axis=1)
    segments[rng.random((batch, length)) < 0.1] = 0
    segments[0, -length // 4 :] = 0
    positions = np.zeros_like(segments)
    for row in range(batch):
        for n in range(length):
            positions[row, n] = (segments[row, :n] == segments[row, n]).sum()
    return Positions(jnp.asarray(positions, jnp.int32), jnp.asarray(segments, jnp.int32))


def whole(_: int, length: int) -> Positions:
    return Positions(jnp.arange(length)[None])


def results(arrays: Any, at: Positions, keys: Any, implementation: str, **masks: Any) -> Any:
    """Values and gradients; NaN has no part in the loss."""

    def loss(q: Any, k: Any, v: Any) -> tuple[jax.Array, jax.Array]:
        y = attention(q, k, v, at, keys, implementation=implementation, **masks)
        return jnp.sum(jnp.sin(jnp.where(jnp.isfinite(y), y, 0))), y

    (_, y), gradients = jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))(*arrays)
    return y, *gradients


def assert_equal_results(got: Any, wanted: Any) -> None:
    np.testing.assert_allclose(got[0], wanted[0], **TOLERANCE["chunking"])
    for a, b in zip(got[1:], wanted[1:], strict=True):
        np.testing.assert_allclose(a, b, **TOLERANCE["gradient"])


# (B, H, G, T, S, K): one query; fewer numbers than a vector has; several blocks of queries, none
# full; heads that share keys; other keys than queries.
CASES = [
    ((1, 1, 1, 1, 1, 1), whole, {"causal": True}),
    ((2, 2, 2, 5, 5, 3), whole, {"causal": True}),
    ((2, 4, 2, 130, 130, 24), documents, {"causal": True}),
    ((2, 2, 1, 150, 150, 40), documents, {"causal": True, "window": 20}),
    ((1, 2, 2, 130, 130, 8), whole, {"causal": True, "window": 33}),
    ((2, 2, 2, 70, 40, 16), documents, {"causal": False}),
    ((2, 2, 2, 40, 70, 16), documents, {"causal": True}),
    ((2, 2, 2, 64, 64, 32), whole, {"causal": False, "window": 7}),
]


@pytest.mark.parametrize(("sizes", "make", "masks"), CASES)
def test_values_and_gradients_are_those_of_blocks(sizes: Any, make: Any, masks: Any) -> None:
    batch, heads, groups, queries, keys, width = sizes
    arrays = (
        draw(batch, heads, queries, width),
        draw(batch, groups, keys, width),
        draw(batch, groups, keys, width) + 1,
    )
    at = make(batch, queries)
    others = None if keys == queries else make(batch, keys)
    got = results(arrays, at, others, "native", **masks)
    wanted = results(arrays, at, others, "blocks", **masks)
    assert_equal_results(got, wanted)


def test_what_is_not_finite_reaches_those_who_see_it_and_no_gradient() -> None:
    q, k, v = draw(2, 2, 70, 8), draw(2, 2, 70, 8), draw(2, 2, 70, 8)
    at = documents(2, 70)
    assert at.segments is not None
    seen = int(np.flatnonzero(np.asarray(at.segments[1]) == 2)[3])
    arrays = (
        q.at[0, 0, 1, 0].set(jnp.nan),
        k.at[1, 0, seen, 2].set(jnp.inf),
        v.at[0, 1, -1, 0].set(jnp.nan),  # padding
    )
    got = results(arrays, at, None, "native", causal=True)
    wanted = results(arrays, at, None, "blocks", causal=True)
    broken = np.isnan(np.asarray(wanted[0]))
    assert broken.any()
    assert not broken[0, :, 2:].any()
    assert_equal_results(got, wanted)
    assert all(np.isfinite(gradient).all() for gradient in got[1:])


def test_scores_far_apart_do_not_overflow() -> None:
    """Up to 1e4: the weights are 0 and 1."""
    q, k, v = 1e2 * draw(1, 1, 40, 16), 1e2 * draw(1, 1, 40, 16), draw(1, 1, 40, 16)
    got = results((q, k, v), whole(1, 40), None, "native", causal=True)
    scores = np.einsum("tk,sk->ts", np.float64(q[0, 0]), np.float64(k[0, 0])) / 4
    scores[np.triu_indices(40, 1)] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    np.testing.assert_allclose(got[0][0, 0], weights @ np.float64(v[0, 0]), **TOLERANCE["decoding"])
    assert all(np.isfinite(gradient).all() for gradient in got)


def test_another_document_changes_no_bit() -> None:
    q, k, v = (draw(1, 2, 90, 16) for _ in range(3))
    at = documents(1, 90)
    assert at.segments is not None
    first = np.asarray(at.segments[0]) == 1
    run = jax.jit(lambda q, k, v: attention(q, k, v, at, causal=True, implementation="native"))
    before = run(q, k, v)
    after = run(q, *(jnp.where(first[:, None], x, 7.0) for x in (k, v)))
    np.testing.assert_array_equal(before[:, :, first], after[:, :, first])


def test_operations_are_those_of_all_scores() -> None:
    """Two products forward, and five for the gradient; blocks skip some of the hidden ones."""
    arrays = (draw(2, 4, 20, 8), draw(2, 2, 20, 8), draw(2, 2, 20, 8))
    product = 2 * 2 * 4 * 20 * 20 * 8
    run = lambda *x: attention(*x, whole(2, 20), causal=False, implementation="native")
    blocks = lambda *x: attention(*x, whole(2, 20), causal=False, implementation="blocks")
    assert hardware_flops(run, *arrays) == hardware_flops(blocks, *arrays) == 2 * product
    gradient = jax.grad(lambda *x: jnp.sum(run(*x)), (0, 1, 2))
    assert hardware_flops(gradient, *arrays) == 7 * product


def test_auto_is_the_kernel_where_it_has_all_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, scores = FEWEST_NATIVE

    def is_native(length: int = queries, dtype: Any = jnp.float32, **rest: Any) -> bool:
        keys = scores // queries
        arrays = [jnp.ones((1, 2, size, 4), dtype) for size in (length, keys, keys)]
        run = lambda *x: attention(*x, whole(1, length), whole(1, keys), causal=True, **rest)
        return "ffi_call" in str(jax.make_jaxpr(run)(*arrays))

    monkeypatch.setenv(library.SWITCH, "1")
    assert is_native()
    assert not is_native(queries - 1)
    assert not is_native(dtype=jnp.bfloat16)
    assert not is_native(slopes=jnp.ones(2))
    assert not is_native(bias=jnp.zeros((1, 2, queries, scores // queries)))
    assert not is_native(dropout_rate=0.1, dropout_key=jax.random.key(0))
    assert not is_native(implementation="blocks")
    monkeypatch.setenv(library.SWITCH, "0")
    assert not is_native()
    with pytest.raises(ValueError, match="float32 alone, without slopes"):
        is_native(slopes=jnp.ones(2), implementation="native")
