"""Masks and attention, against loops in float64 numpy."""

from __future__ import annotations

from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.ops import attention as ops
from seqmodels.ops.masks import Positions, attention_mask
from tests.tolerances import TOLERANCE

B, H, T, S, K = 2, 3, 5, 7, 4


def allowed(q: tuple[int, int], k: tuple[int, int], causal: bool, window: int | None) -> bool:
    (q_position, q_segment), (k_position, k_segment) = q, k
    near = window is None or q_position - k_position < window
    return q_segment == k_segment > 0 and near and (k_position <= q_position or not causal)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [None, 2])
def test_mask_is_a_function_of_position_and_segment(causal: bool, window: int | None) -> None:
    rng = np.random.default_rng(0)
    q_pos, k_pos = rng.integers(0, 4, (B, T)), rng.integers(0, 4, (B, S))
    q_seg, k_seg = rng.integers(0, 3, (B, T)), rng.integers(0, 3, (B, S))
    got = attention_mask(
        Positions(jnp.array(q_pos), jnp.array(q_seg)),
        Positions(jnp.array(k_pos), jnp.array(k_seg)),
        causal=causal,
        window=window,
    )
    wanted = np.zeros((B, T, S), bool)
    for b, t, s in np.ndindex(B, T, S):
        query, key = (q_pos[b, t], q_seg[b, t]), (k_pos[b, s], k_seg[b, s])
        wanted[b, t, s] = allowed(query, key, causal, window)
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("marked", ["queries", "keys"])
def test_without_segments_a_side_is_document_1(marked: str) -> None:
    ids = jnp.array([[1, 1, 2, 0, 1]] * B)
    plain, with_ids = Positions(jnp.arange(T)[None]), Positions(jnp.arange(T)[None], ids)
    sides = {"queries": plain, "keys": plain, marked: with_ids}
    mask = attention_mask(sides["queries"], sides["keys"], causal=False)
    shape = (B, T, 1) if marked == "queries" else (B, 1, T)
    wanted = np.broadcast_to((np.asarray(ids) == 1).reshape(shape), (B, T, T))
    np.testing.assert_array_equal(mask, wanted)


def in_numpy(q: Any, k: Any, v: Any, mask: Any, bias: Any = None) -> np.ndarray:
    group = q.shape[1] // k.shape[1]
    k, v = (np.repeat(x, group, axis=1) for x in (k, v))
    q, k, v = (np.asarray(x, np.float64) for x in (q, k, v))
    bias = np.broadcast_to(np.zeros(1) if bias is None else bias, (*q.shape[:3], k.shape[2]))
    mask = np.broadcast_to(mask, (q.shape[0], q.shape[2], k.shape[2]))
    out = np.zeros(q.shape)
    for b, h, t in np.ndindex(*q.shape[:3]):
        seen = mask[b, t] & (bias[b, h, t] > -np.inf)
        if seen.any():
            scores = k[b, h, seen] @ q[b, h, t] / np.sqrt(q.shape[-1])
            weights = np.exp(scores + bias[b, h, t, seen])
            out[b, h, t] = weights @ v[b, h, seen] / weights.sum()
    return out


def tensors(length: int = T, memory: int = S) -> list[jax.Array]:
    keys = jax.random.split(jax.random.key(0), 3)
    sizes = [length, memory, memory]
    return [2 * jax.random.normal(k, (B, H, n, K)) for k, n in zip(keys, sizes, strict=True)]


def test_attend_is_the_formula_and_zero_where_nothing_may_be_seen() -> None:
    mask = jax.random.bernoulli(jax.random.key(1), 0.5, (B, T, S)).at[1, 2].set(False)
    q, k, v = tensors()
    got = jax.jit(ops.attend)(q, k, v, mask)
    np.testing.assert_allclose(got, in_numpy(q, k, v, mask), **TOLERANCE["reference"])
    assert not got[1, :, 2].any()


def test_a_blind_query_and_a_huge_score_have_finite_gradients() -> None:
    mask = jnp.ones((B, T, S), bool).at[:, 2].set(False)
    q, k, v = (1e4 * x for x in tensors())
    loss = lambda *x: jnp.sum(jnp.sin(ops.attend(*x, mask)))
    gradients = jax.jit(jax.grad(loss, (0, 1, 2)))(q, k, v)
    assert all(np.isfinite(g).all() for g in gradients)
    assert not gradients[0][:, :, 2].any()


@pytest.mark.parametrize("window", [None, 4])
@pytest.mark.parametrize("what", ["q", "k", "v"])
@mock.patch.object(ops, "BLOCK", 4)
def test_nan_reaches_the_queries_that_see_it_alone(what: str, window: int | None) -> None:
    """In blocks of 4; of NaN in a token, and in padding, the other documents and the earlier tokens
    have outputs and gradients without it."""
    ids = jnp.array([[1, 1, 1, 2, 2, 2, 2, 3, 0]] * B)
    length, bad = ids.shape[1], 4
    arrays = dict(zip("qkv", tensors(length, length), strict=True))
    places = Positions(jnp.asarray([[0, 1, 2, 0, 1, 2, 3, 0, 0]] * B), ids)
    clean = np.array([0, 1, 2, 3, 7])

    def run(arrays: Any) -> Any:
        y = ops.attention(*(arrays[n] for n in "qkv"), places, causal=True, window=window)
        return jnp.sum(jnp.sin(y[:, :, clean])), y

    differentiate = jax.jit(jax.value_and_grad(run, has_aux=True))
    (_, wanted), gradients = differentiate(arrays)
    spoiled = {**arrays, what: arrays[what].at[:, :, [bad, -1]].set(jnp.nan)}
    (_, y), found = differentiate(spoiled)
    np.testing.assert_array_equal(y[:, :, clean], wanted[:, :, clean])
    assert np.isnan(y[:, :, bad]).all()
    assert not np.asarray(y[:, :, -1]).any()
    jax.tree.map(np.testing.assert_array_equal, found, gradients)


def segments(length: int) -> jax.Array:
    ids = jnp.stack([jnp.arange(length) // 9 + 1, jnp.arange(length) // 11 + 1])
    return ids.at[0, -3:].set(0).astype(jnp.int32)


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("rows", [1, B])
def test_grouped_queries_and_a_bias_are_the_formula(groups: int, rows: int) -> None:
    """6 query heads; a bias per row or for all rows, which may hide some or all keys."""
    heads = 6
    keys = jax.random.split(jax.random.key(4), 4)
    q = jax.random.normal(keys[0], (B, heads, T, K))
    k, v = (jax.random.normal(n, (B, groups, S, K)) for n in keys[1:3])
    bias = jax.random.normal(keys[3], (rows, heads, T, S))
    bias = jnp.where(bias < -1, -jnp.inf, bias).at[:, 1, 2].set(-jnp.inf)
    mask = jnp.ones((1, T, S), bool)
    got = jax.jit(ops.attend)(q, k, v, mask, bias)
    np.testing.assert_allclose(got, in_numpy(q, k, v, mask, bias), **TOLERANCE["reference"])
    assert not got[:, 1, 2].any()
    loss = lambda *x: jnp.sum(jnp.sin(ops.attend(*x[:3], mask, x[3])))
    gradients = jax.jit(jax.grad(loss, (0, 1, 2, 3)))(q, k, v, bias)
    assert all(np.isfinite(g).all() for g in gradients)


def test_no_key_is_repeated_for_the_queries_of_its_group() -> None:
    """No array of the program, gradient included, has the size of H keys per token."""
    heads, groups, length, memory = 6, 2, 1, 50
    shapes = [(B, heads, length, K), (B, groups, memory, K), (B, groups, memory, K)]
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    places = [Positions(jnp.arange(n)[None]) for n in (length, memory)]
    loss = lambda *x: ops.attention(*x, *places, causal=False).sum()
    program = jax.make_jaxpr(jax.grad(loss, (0, 1, 2)))(*arguments)
    sizes = [out.aval.size for line in program.jaxpr.eqns for out in line.outvars]
    assert max(sizes) == B * groups * memory * K


@pytest.mark.parametrize("form", ["causal", "both ways", "window", "alibi", "bias"])
@pytest.mark.parametrize("packed", [False, True])
def test_blocks_and_checkpoints_change_nothing(
    form: str, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """37 queries in blocks of 8, the last one short, against one block."""
    length, causal = 37, form != "both ways"
    q, k, v = tensors(length, length)
    ids = segments(length) if packed else None
    places = Positions(jnp.arange(length)[None], ids)
    weights = jax.random.normal(jax.random.key(2), q.shape)
    window = 5 if form == "window" else None
    slopes = jnp.array([0.5, 0.1, 0.02]) if form == "alibi" else None
    bias = jax.random.normal(jax.random.key(5), (B, H, length, length))
    bias = bias if form == "bias" else None

    def differentiate() -> Any:
        """A function of its own each time, so that no trace is used twice."""

        def run(q: jax.Array, k: jax.Array, v: jax.Array) -> tuple[jax.Array, jax.Array]:
            y = ops.attention(
                q, k, v, places, causal=causal, window=window, bias=bias, slopes=slopes
            )
            return jnp.sum(weights * y), y

        return jax.jit(jax.value_and_grad(run, (0, 1, 2), has_aux=True))(q, k, v)

    (_, whole), gradients = differentiate()
    mask = attention_mask(places, places, causal=causal, window=window)
    added = bias
    if slopes is not None:
        far = np.abs(np.arange(length)[:, None] - np.arange(length))
        added = -np.asarray(slopes)[None, :, None, None] * far
    np.testing.assert_allclose(whole, in_numpy(q, k, v, mask, added), **TOLERANCE["reference"])
    monkeypatch.setattr(ops, "BLOCK", 8)
    monkeypatch.setattr(ops, "CHECKPOINT_ABOVE", 20)
    (_, blocked), blocked_gradients = differentiate()
    np.testing.assert_allclose(blocked, whole, **TOLERANCE["chunking"])
    for got, wanted in zip(blocked_gradients, gradients, strict=True):
        np.testing.assert_allclose(got, wanted, **TOLERANCE["gradient"])


def test_number_of_blocks_is_bounded_for_long_sequences() -> None:
    length = 64 * ops.BLOCK
    shape = jax.ShapeDtypeStruct((1, 1, length, 2), jnp.float32)
    run = lambda x: ops.attention(x, x, x, Positions(jnp.arange(length)[None]), causal=True)
    text = str(jax.make_jaxpr(run)(shape))
    assert text.count("= exp ") == ops.MAX_BLOCKS


def test_alibi_is_made_a_block_at_a_time() -> None:
    """No array has an entry for each head, query and key at once."""
    length = 8 * ops.BLOCK
    shape = jax.ShapeDtypeStruct((1, H, length, 2), jnp.float32)
    places = Positions(jnp.arange(length)[None])
    run = lambda x: ops.attention(x, x, x, places, causal=True, slopes=jnp.ones(H))
    text = str(jax.make_jaxpr(run)(shape))
    assert f"{ops.BLOCK},{length}]" in text
    assert f"{length},{length}]" not in text


def test_a_window_without_segments_meets_no_key_out_of_reach() -> None:
    length = 8 * ops.BLOCK
    shape = jax.ShapeDtypeStruct((1, H, length, 2), jnp.float32)
    places = Positions(jnp.arange(length)[None])
    run = lambda x: ops.attention(x, x, x, places, causal=True, window=3)
    text = str(jax.make_jaxpr(run)(shape))
    assert f"{ops.BLOCK},{ops.BLOCK + 2}]" in text
    assert f"{ops.BLOCK},{length}]" not in text


def test_dropout_keeps_the_mean_and_differs_between_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With uniform weights over ones, the output is the kept share over 1 - rate: 1 on average."""
    monkeypatch.setattr(ops, "BLOCK", 32)
    length = 64
    q, v = jnp.zeros((B, H, length, K)), jnp.ones((B, H, length, K))
    y = ops.attention(
        q, q, v, Positions(jnp.arange(length)[None]), causal=False,
        dropout_rate=0.25, dropout_key=jax.random.key(3),
    )  # fmt: skip
    kept = 0.75 * length * np.asarray(y)[..., 0]
    np.testing.assert_allclose(kept, np.round(kept), **TOLERANCE["decoding"])
    share = kept.mean() / length
    error = np.sqrt(0.25 * 0.75 / (B * H * length * length))
    assert abs(share - 0.75) < 5 * error
    assert (kept[:, :, :32] != kept[:, :, 32:]).any()
