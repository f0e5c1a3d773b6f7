"""Cross-entropy, against float64 numpy."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.ops.losses import most_likely, softmax_cross_entropy, sum_of_chunks
from tests.tolerances import TOLERANCE

B, T, V = 2, 5, 11


def example() -> tuple[jax.Array, jax.Array]:
    logits = 5 * jax.random.normal(jax.random.key(0), (B, T, V))
    return logits, jax.random.randint(jax.random.key(1), (B, T), 0, V)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_and_gradient_are_the_definition_s(smoothing: float) -> None:
    logits, targets = example()
    z = np.asarray(logits, np.float64)
    probabilities = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    wanted = np.full((B, T, V), smoothing / V)
    wanted += (1 - smoothing) * np.eye(V)[np.asarray(targets)]
    loss = softmax_cross_entropy(logits, targets, smoothing)
    np.testing.assert_allclose(
        loss, -(wanted * np.log(probabilities)).sum(-1), **TOLERANCE["reference"]
    )
    weights = jnp.arange(1.0, 1 + B * T).reshape(B, T)
    total = lambda x: (softmax_cross_entropy(x, targets, smoothing) * weights).sum()
    expected = np.asarray(weights)[..., None] * (probabilities - wanted)
    np.testing.assert_allclose(jax.grad(total)(logits), expected, **TOLERANCE["reference"])
    masked = logits.at[..., 3].set(-jnp.inf)  # as a vocabulary that is filled up has them
    other = jnp.where(targets == 3, 4, targets)
    gradient = jax.grad(lambda x: softmax_cross_entropy(x, other).sum())(masked)
    assert np.isfinite(gradient).all() and not gradient[..., 3].any()


def test_large_and_bfloat16_logits_give_finite_float32() -> None:
    logits, targets = example()
    loss = softmax_cross_entropy((1e4 * logits).astype(jnp.bfloat16), targets)
    assert loss.dtype == jnp.float32
    assert np.isfinite(loss).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_small_loss_of_large_logits_is_not_rounded_away(smoothing: float) -> None:
    """By torch too: differences come before the sum."""
    logits = jnp.array([1000.0, 992.0, 985.0])
    z = np.asarray(logits, np.float64) - 1000
    right = np.log(np.exp(z).sum()) - (1 - smoothing) * z[0] - smoothing * z.mean()
    loss = softmax_cross_entropy(logits, jnp.int32(0), smoothing)
    np.testing.assert_allclose(loss, right, **TOLERANCE["rounding"])


@pytest.mark.parametrize("target", [-1, V])
def test_a_target_outside_the_vocabulary_is_loud(target: int) -> None:
    logits, targets = example()
    loss = softmax_cross_entropy(logits, targets.at[1, 2].set(target))
    assert np.isnan(loss[1, 2])
    assert np.isfinite(loss).sum() == B * T - 1


D = 6
FACTOR = 0.7


def chunked(
    kernel: jax.Array, features: jax.Array, targets: jax.Array, weights: jax.Array, **how: Any
) -> tuple[jax.Array, jax.Array]:
    """FACTOR times the weighted loss of x W, and the number of targets that are most likely."""

    def scores(features: jax.Array, targets: jax.Array, weights: jax.Array) -> Any:
        logits = jnp.matmul(
            features, kernel.astype(features.dtype), preferred_element_type=jnp.float32
        )
        losses = softmax_cross_entropy(logits, targets, how["smoothing"])
        return (losses * weights).sum(), ((most_likely(logits) == targets) * weights).sum()

    loss, hits = sum_of_chunks(scores, features, (targets, weights), how["num_chunks"])
    return FACTOR * loss, hits


@pytest.mark.parametrize(("rows", "num_chunks"), [(7, 3), (7, 1), (6, 3), (1, 1), (7, 7), (5, 4)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_in_chunks_and_its_gradient_are_the_definition_s(
    rows: int, num_chunks: int, smoothing: float
) -> None:
    random = np.random.default_rng(rows)
    kernel, features = random.normal(size=(D, V)), random.normal(size=(rows, D))
    targets = random.integers(0, V, rows)
    weights = np.where(np.arange(rows) == 2, 0.0, random.uniform(0.5, 2, rows))
    z = features @ kernel
    probabilities = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    wanted = smoothing / V + (1 - smoothing) * np.eye(V)[targets]
    arrays = [jnp.asarray(x, jnp.float32) for x in (kernel, features)]
    given = (*arrays, jnp.asarray(targets, jnp.int32), jnp.asarray(weights, jnp.float32))
    differentiate = jax.value_and_grad(
        lambda *x: chunked(*x, num_chunks=num_chunks, smoothing=smoothing), (0, 1), has_aux=True
    )
    (loss, hits), (d_kernel, d_features) = jax.jit(differentiate)(*given)
    losses = -(wanted * np.log(probabilities)).sum(-1)
    np.testing.assert_allclose(loss, FACTOR * (weights * losses).sum(), **TOLERANCE["reference"])
    np.testing.assert_allclose(
        hits, ((z.argmax(-1) == targets) * weights).sum(), **TOLERANCE["rounding"]
    )
    d_z = FACTOR * weights[:, None] * (probabilities - wanted)
    np.testing.assert_allclose(d_kernel, features.T @ d_z, **TOLERANCE["reference"])
    np.testing.assert_allclose(d_features, d_z @ kernel.T, **TOLERANCE["reference"])
    alone, _ = jax.jit(lambda *x: chunked(*x, num_chunks=num_chunks, smoothing=smoothing))(*given)
    np.testing.assert_allclose(alone, loss, **TOLERANCE["rounding"])


def test_chunks_of_bfloat16_have_the_gradients_of_the_whole() -> None:
    random = np.random.default_rng(3)
    kernel = jnp.asarray(random.normal(size=(D, V)), jnp.float32)
    features = jnp.asarray(random.normal(size=(7, D)), jnp.bfloat16)
    targets, weights = jnp.arange(7), jnp.ones(7)

    def run(num_chunks: int) -> Any:
        total = lambda *x: chunked(*x, targets, weights, num_chunks=num_chunks, smoothing=0.1)
        return jax.value_and_grad(total, (0, 1), has_aux=True)(kernel, features)

    whole, parts = run(1), run(4)
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(
            other.astype(jnp.float32), one.astype(jnp.float32), **TOLERANCE["bfloat16"]
        )
    np.testing.assert_allclose(parts[0][0], whole[0][0], **TOLERANCE["reference"])


@pytest.mark.parametrize("size", [V, 1024, 1031, 2048 + 6])  # 1031 is a prime
def test_the_most_likely_class_is_the_first_of_equals(size: int) -> None:
    values = np.array(jax.random.normal(jax.random.key(2), (B, T, size)))
    values[0] = np.round(values[0])  # many equals
    values[1, 0, [3, size - 1]] = 99.0
    values[1, 1] = -np.inf
    found = jax.jit(most_likely)(values)
    np.testing.assert_array_equal(found, np.argmax(values, axis=-1))
