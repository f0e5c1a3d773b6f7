"""Causal convolutions against loops over the tokens of each document."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.ops.convolution import (
    causal_convolution,
    compact,
    depthwise_convolution,
    history_length,
    wide_convolution,
)
from seqmodels.ops.positions import advance
from tests.tolerances import TOLERANCE

B, T, D, F = 3, 9, 4, 5
IDS = np.array(
    [
        [1, 1, 2, 2, 2, 2, 3, 3, 3],
        [1, 0, 1, 1, 0, 0, 1, 2, 2],
        [0, 0, 1, 1, 1, 1, 0, 0, 0],
    ],
    np.int32,
)
CUTS = [(T,), (1, 3, 1, 4), (5, 4), (2, 2, 5)]


def arrays(width: int) -> tuple[jax.Array, jax.Array]:
    draw = np.random.default_rng(width)
    x, kernel = draw.normal(size=(B, T, D)), draw.normal(size=(width, D, F))
    return jnp.asarray(x, jnp.float32), jnp.asarray(kernel, jnp.float32)


unpacked = jax.jit(lambda packing, y: packing.unpack(y))


def naive(x: Any, kernel: Any, dilation: int, ids: np.ndarray) -> np.ndarray:
    """Convolution over each token and the tokens before it in its document, in float64."""
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    y = np.zeros((*x.shape[:2], kernel.shape[-1]))
    for row, t in zip(*np.nonzero(ids), strict=True):
        seen = np.flatnonzero(ids[row, : t + 1] == ids[row, t])[::-1]  # the token itself first
        for n, tap in enumerate(kernel[::-1]):
            if n * dilation < len(seen):
                y[row, t] += x[row, seen[n * dilation]] @ tap
    return y


@jax.jit
def ready(x: Any, ids: Any, segment: Any, position: Any) -> Any:
    """A chunk and the starts in it, packed to the left; the packing and the state after it."""
    step = advance(ids, segment, position)
    packing = compact(step.valid)
    packed = packing.pack(x), packing.pack(step.starts), packing.count
    return packed, packing, step.last_segment, step.last_position


def stream(run: Any, x: Any, history: Any, ids: Any, pieces: tuple[int, ...]) -> np.ndarray:
    """The convolution of a sequence that is read in chunks."""
    segment, position = np.zeros(B, np.int32), np.full(B, -1, np.int32)
    ys, at, x = [], 0, np.asarray(x)
    for size in pieces:
        part = x[:, at : at + size]
        if ids is None:
            y, history = run(part, history, None, None)
        else:
            (part, *marks), packing, segment, position = ready(
                part, ids[:, at : at + size], segment, position
            )
            y, history = run(part, history, *marks)
            y = unpacked(packing, y)
        ys.append(np.asarray(y))
        at += size
    return np.concatenate(ys, axis=1)


@pytest.mark.parametrize("segmented", [False, True])
@pytest.mark.parametrize("width, dilation", [(3, 1), (2, 3), (1, 1), (4, 2)])
def test_a_causal_convolution_may_be_cut_anywhere(
    width: int, dilation: int, segmented: bool
) -> None:
    x, kernel = arrays(width)
    ids = IDS if segmented else np.ones((B, T), np.int32)
    wanted = naive(x, kernel, dilation, ids)
    run = jax.jit(lambda x, h, *marks: causal_convolution(x, kernel, h, dilation, *marks))
    history = jnp.zeros((B, history_length(width, dilation), D))
    for pieces in CUTS:
        got = stream(run, x, history, IDS if segmented else None, pieces)
        np.testing.assert_allclose(got, wanted, **TOLERANCE["reference"], err_msg=str(pieces))


def test_a_depthwise_convolution_is_one_whose_kernel_is_diagonal() -> None:
    x, _ = arrays(3)
    taps = np.random.default_rng(0).normal(size=(3, D)).astype(np.float32)
    dense = np.stack([np.diag(tap) for tap in taps])
    run = jax.jit(lambda x, h, *marks: depthwise_convolution(x, jnp.asarray(taps), h, *marks))
    for pieces in CUTS[:2]:
        got = stream(run, x, jnp.zeros((B, 2, D)), IDS, pieces)
        np.testing.assert_allclose(got, naive(x, dense, 1, IDS), **TOLERANCE["reference"])


def test_padding_leaves_the_history_alone_and_a_document_clears_it() -> None:
    x, kernel = arrays(3)
    history = jnp.ones((B, 2, D))
    none = jnp.zeros(B, jnp.int32)
    starts = jnp.zeros((B, T), bool)
    _, after = causal_convolution(x, kernel, history, 1, starts, none)
    np.testing.assert_array_equal(after, history)
    starts = starts.at[:, 0].set(True)
    _, after = causal_convolution(x, kernel, history, 1, starts, none + 1)
    np.testing.assert_array_equal(after[:, 0], jnp.zeros((B, D)))
    np.testing.assert_array_equal(after[:, 1], x[:, 0])


def test_not_even_nan_reaches_another_document() -> None:
    x, kernel = arrays(3)
    starts = jnp.zeros((B, T), bool).at[:, 4].set(True)

    @jax.jit
    def later(x: jax.Array) -> jax.Array:
        y, _ = causal_convolution(x, kernel, jnp.zeros((B, 2, D)), 1, starts)
        return jnp.sum(jnp.sin(y[:, 4:]))

    poisoned = x.at[:, :4].set(jnp.nan)
    gradient = jax.grad(later)(poisoned)
    np.testing.assert_array_equal(later(poisoned), later(x))
    assert not gradient[:, :4].any() and gradient[:, 4:].all()


def test_wide_windows_are_all_that_hold_a_token() -> None:
    x, kernel = arrays(3)
    got = wide_convolution(x, kernel)
    padded = np.pad(x, ((0, 0), (2, 2), (0, 0)))
    wanted = np.stack(
        [np.einsum("bwd,wdf->bf", padded[:, s : s + 3], kernel) for s in range(T + 2)], axis=1
    )
    np.testing.assert_allclose(got, wanted, **TOLERANCE["reference"])


def test_compaction_goes_there_and_back() -> None:
    packing = compact(jnp.asarray(IDS > 0))
    packed = np.asarray(packing.pack(jnp.asarray(IDS)))
    np.testing.assert_array_equal(packed[1], [1, 1, 1, 1, 2, 2, 0, 0, 0])
    np.testing.assert_array_equal(packing.count, [9, 6, 4])
    np.testing.assert_array_equal(packing.unpack(jnp.asarray(packed)), IDS)
