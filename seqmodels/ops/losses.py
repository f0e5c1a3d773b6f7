"""Losses, computed in float32 for logits of any dtype."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Integer, Num

_LARGE = 1024  # number of classes from which a search in parts is faster


def softmax_cross_entropy(
    logits: Float[Array, "*rows V"], targets: Integer[Array, "*rows"], label_smoothing: float = 0.0
) -> Float[Array, "*rows"]:
    """Negative log-likelihood of each target, in nats.

        loss = log sum exp(logits) - (1 - e) logits[target] - e mean(logits)

    where e = `label_smoothing` is the share of the mass spread evenly over all V classes, the
    target's own included.

    Args:
      logits: [..., V], any float dtype.
      targets: [...], integers in 0..V - 1; others give NaN.
      label_smoothing: e, in [0, 1).

    Returns:
      [...] float32.
    """
    size = logits.shape[-1]
    losses: Any = _cross_entropy(label_smoothing, logits.astype(jnp.float32), targets)
    return jnp.where((targets >= 0) & (targets < size), losses, jnp.nan)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _cross_entropy(smoothing: float, logits: Array, targets: Array) -> Array:
    """The loss of targets inside the vocabulary.

    Its gradient, g (softmax(logits) - (1 - e) onehot(target) - e / V), takes one pass over saved
    values. With a vocabulary of words, each pass costs as much as the products of the head.
    """
    return _forward(smoothing, logits, targets)[0]


def _forward(smoothing: float, logits: Array, targets: Array) -> tuple[Array, tuple[Array, ...]]:
    largest = jnp.max(logits, axis=-1)
    largest = jnp.where(jnp.isfinite(largest), largest, 0.0)
    exponentials = jnp.exp(logits - largest[..., None])
    total = jnp.sum(exponentials, axis=-1)
    picked = jnp.take_along_axis(logits, targets[..., None], axis=-1, mode="clip")[..., 0]
    # Differences first: `largest + log(total)` would round away a small loss of large logits.
    expected = (1 - smoothing) * (picked - largest)
    if smoothing:
        expected += smoothing * jnp.mean(logits - largest[..., None], axis=-1)
    return jnp.log(total) - expected, (exponentials, total, targets)


def _backward(smoothing: float, kept: tuple[Array, ...], gradient: Array) -> tuple[Array, Any]:
    exponentials, total, targets = kept
    wanted = jnp.where(_at(targets, exponentials), 1 - smoothing, 0.0)
    wanted += smoothing / exponentials.shape[-1]
    softmax = exponentials * (1 / total)[..., None]
    return gradient[..., None] * (softmax - wanted), None


_cross_entropy.defvjp(_forward, _backward)


def _at(targets: Array, logits: Array) -> Array:
    """True at the target of each row."""
    classes = lax.broadcasted_iota(targets.dtype, logits.shape, logits.ndim - 1)
    return classes == targets[..., None]


def sum_of_chunks(
    function: Callable[..., tuple[Array, Any]],
    features: Num[Array, "rows D"],
    others: tuple[Array, ...],
    num_chunks: int,
) -> tuple[Float[Array, ""], Any]:
    """The sum of `function` over chunks of rows, with its gradient (reverse mode only).

    Where the function makes logits of features, those of one chunk exist at a time. The gradient of
    a sum by a chunk and by W, which all chunks share, needs no other chunk but for one factor g:

        d loss / d features[chunk] = g df(features[chunk]) / d features[chunk]
        d loss / d W               = g sum_chunks df(features[chunk]) / d W

    So the forward pass computes it with the value, and the backward pass multiplies by g. Nothing
    is computed twice, as it would be with `jax.checkpoint`; what is kept is as large as the
    features and W.

    Args:
      function: (features [c, D], *others [c, ...]) -> float32 scalar, tree of further sums. Floats
        that it closes over, as W, have a gradient; the further sums have none.
      features: [rows, D].
      others: [rows, ...] each, without a gradient. They and the features are filled up with zeros
        to num_chunks * c rows, so the function has to be 0 there.
    """
    rows = features.shape[0]
    size = -(-rows // num_chunks)

    def cut(x: Array) -> Array:
        filled = jnp.pad(x, [(0, num_chunks * size - rows), *[(0, 0)] * (x.ndim - 1)])
        return filled.reshape(num_chunks, size, *x.shape[1:])

    chunks = jax.tree.map(cut, (features, *others))
    converted, shared = jax.closure_convert(function, *jax.tree.map(lambda x: x[0], chunks))
    sums: Any = _sum_of_chunks(converted, shared, chunks[0], chunks[1:])
    return sums


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _sum_of_chunks(function: Any, shared: Any, features: Array, others: Any) -> Any:
    return _add_up(lambda chunk: (function(*chunk, *shared), None), (features, *others))[0]


def _sum_forward(function: Any, shared: Any, features: Array, others: Any) -> Any:
    def differentiate(chunk: Any) -> Any:
        own, *rest = chunk
        of_both = lambda own, shared: function(own, *rest, *shared)
        sums, (d_own, d_shared) = jax.value_and_grad(of_both, (0, 1), has_aux=True)(own, shared)
        return (sums, d_shared), d_own

    (sums, d_shared), d_features = _add_up(differentiate, (features, *others))
    return sums, (d_shared, d_features)


def _sum_backward(function: Any, kept: Any, cotangents: Any) -> Any:
    del function
    return *jax.tree.map(lambda d: cotangents[0].astype(d.dtype) * d, kept), None


_sum_of_chunks.defvjp(_sum_forward, _sum_backward)


def _add_up(function: Callable[[Any], tuple[Any, Any]], chunks: Any) -> tuple[Any, Any]:
    """The sum over chunks of the first result of a function, and the second of each."""

    def body(sums: Any, chunk: Any) -> tuple[Any, Any]:
        new, own = function(chunk)
        return jax.tree.map(jnp.add, sums, new), own

    shapes = jax.eval_shape(lambda x: function(x)[0], jax.tree.map(lambda x: x[0], chunks))
    return lax.scan(body, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes), chunks)


def most_likely(logits: Float[Array, "*rows V"]) -> Integer[Array, "*rows"]:
    """jnp.argmax(logits, axis=-1), the first of equals; any class where one is NaN.

    A large vocabulary is cut into n equal parts, with n the largest divisor of V up to sqrt(V), and
    only the part with the maximum is searched: on a CPU, XLA's argmax is many times slower than its
    maximum. On a mesh whose axis `tensor` splits the vocabulary, cutting it would gather it, so
    each device searches its own part.
    """
    size = logits.shape[-1]
    parts = max(n for n in range(1, math.isqrt(size) + 1) if size % n == 0)
    is_split = jax.sharding.get_abstract_mesh().shape.get("tensor", 1) > 1
    if size < _LARGE or parts == 1 or is_split:
        return jnp.argmax(logits, axis=-1)
    cut = logits.reshape(*logits.shape[:-1], parts, size // parts)
    part = jnp.argmax(jnp.max(cut, axis=-1), axis=-1)
    found = jnp.take_along_axis(cut, part[..., None, None], axis=-2)[..., 0, :]
    return part * (size // parts) + jnp.argmax(found, axis=-1)
