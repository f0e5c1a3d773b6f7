"""Attention by a kernel in C++, for one CPU. The equation is that of `ops.attention.attend`.

XLA writes the scores of a block of queries, of all heads, to memory several times: after the
product, the mask, the exponentials. The kernel takes one head and a few dozen queries at a time,
whose scores stay in the cache, and skips keys that none of these queries sees: later ones, other
documents, those outside of a window. Rows of the batch and groups of heads are dealt to the
threads.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from seqmodels.native import library


def attention_chunk(
    q: Float[Array, "B H T K"],
    k: Float[Array, "B G S K"],
    v: Float[Array, "B G S K"],
    query_positions: Int[Array, "B T"],
    query_segments: Int[Array, "B T"],
    key_positions: Int[Array, "B S"],
    key_segments: Int[Array, "B S"],
    query_finite: Bool[Array, "B T"],
    key_finite: Bool[Array, "B S"],
    causal: bool,
    window: int | None,
) -> Float[Array, "B H T K"]:
    """softmax(q k^T / sqrt(K)) v over the keys that a query sees, all float32.

    Args:
      q, k, v: finite numbers, 0 where the marks say that they were not.
      query_finite, key_finite: a query that is not, or sees a key that is not, gives NaN.
      causal, window: as in `ops.masks.attention_mask`.

    Raises:
      NativeError: the kernel cannot be compiled here.
    """
    library.load()
    marks = (query_positions, query_segments, key_positions, key_segments)
    return _run(causal, window or 0, q, k, v, *marks, query_finite, key_finite)


def _masks(causal: bool, window: int) -> dict[str, Any]:
    return {"causal": causal, "window": np.int64(window)}


def _forward(causal: bool, window: int, *args: Array) -> list[Array]:
    """y, and of each query the largest score and 1 over the sum of exponentials."""
    q = args[0]
    shapes = [q.shape, *[q.shape[:3]] * 2]
    return library.call("attention_forward", shapes, *args, **_masks(causal, window))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _run(causal: bool, window: int, *args: Array) -> Array:
    return _forward(causal, window, *args)[0]


def _run_forward(causal: bool, window: int, *args: Array) -> tuple[Array, Any]:
    results = _forward(causal, window, *args)
    return results[0], (*args, *results)


def _run_backward(causal: bool, window: int, saved: Any, d_y: Array) -> tuple[Any, ...]:
    shapes = [x.shape for x in saved[:3]]
    masks = _masks(causal, window)
    gradients = library.call("attention_backward", shapes, *saved, d_y, **masks)
    return *gradients, *[None] * 6


_run.defvjp(_run_forward, _run_backward)


def operations(target: str, shapes: list[tuple[int, ...]]) -> int:
    """Floating-point operations of the products of a call, hidden scores included."""
    (batch, heads, queries, width), (_, _, keys, _) = shapes[:2]
    product = 2 * batch * heads * queries * keys * width
    return product * {"attention_forward": 2, "attention_backward": 5}[target]
