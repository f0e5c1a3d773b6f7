"""Sampling of a token from its logits."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.errors import UserError
from seqmodels.decoding.sampling import Sampling, draw_tokens, row_keys, truncate

B, V = 3, 11


@pytest.fixture(scope="module")
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(B, V)).astype(np.float32)


def draw(logits: np.ndarray, sampling: Sampling, num_draws: int = 400) -> np.ndarray:
    """Draws of each row, [num_draws, B]."""

    @jax.jit
    def many(logits: jax.Array, thresholds: tuple[float, int, float]) -> jax.Array:
        one = lambda i: draw_tokens(
            logits,
            row_keys(jax.random.key(5), B, i),
            thresholds,
            greedy=sampling.greedy,
            truncates=sampling.truncates,
        )
        return jax.lax.map(one, jnp.arange(num_draws))

    return np.asarray(many(logits, sampling.thresholds(V)))


def kept_by_hand(row: np.ndarray, top_k: int, top_p: float) -> set[int]:
    order = sorted(range(V), key=lambda v: -row[v])[:top_k]
    weights = np.exp(row[order].astype(np.float64))
    weights /= weights.sum()
    kept, mass = set(), 0.0
    for token, weight in zip(order, weights, strict=True):
        if mass >= top_p:
            break
        kept.add(token)
        mass += weight
    return kept


@pytest.mark.parametrize("top_k, top_p", [(1, 1.0), (4, 1.0), (V, 0.5), (V, 0.05), (5, 0.7)])
def test_truncation_keeps_top_k_then_the_nucleus(
    logits: np.ndarray, top_k: int, top_p: float
) -> None:
    kept = np.asarray(jax.jit(truncate)(logits, top_k, top_p))
    for row, result in zip(logits, kept, strict=True):
        expected = kept_by_hand(row, top_k, top_p)
        assert set(np.flatnonzero(np.isfinite(result))) == expected
        np.testing.assert_array_equal(result[list(expected)], row[list(expected)])


def test_of_equal_logits_exactly_k_are_kept() -> None:
    kept = truncate(jnp.zeros((2, V)), 3, 1.0)
    np.testing.assert_array_equal(np.isfinite(kept).sum(axis=1), [3, 3])


def test_draws_follow_the_distribution(logits: np.ndarray) -> None:
    num_draws = 20_000
    draws = draw(logits, Sampling(temperature=0.5), num_draws)
    expected = np.asarray(jax.nn.softmax(logits / 0.5))
    for row in range(B):
        counts = np.bincount(draws[:, row], minlength=V)
        mean = num_draws * expected[row]
        # Pearson's statistic has mean V - 1 and variance 2 (V - 1).
        statistic = ((counts - mean) ** 2 / mean).sum()
        assert statistic < (V - 1) + 5 * np.sqrt(2 * (V - 1))


def test_truncated_draws_stay_inside(logits: np.ndarray) -> None:
    draws = draw(logits, Sampling(top_k=5, top_p=0.7))
    for row in range(B):
        assert set(draws[:, row]) == kept_by_hand(logits[row], 5, 0.7)


def test_what_keeps_everything_changes_nothing(logits: np.ndarray) -> None:
    plain = draw(logits, Sampling())
    np.testing.assert_array_equal(draw(logits, Sampling(top_k=V)), plain)
    np.testing.assert_array_equal(draw(logits, Sampling(top_k=10**9, top_p=1.0)), plain)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(0.0),
        Sampling(1e-30),
        *(Sampling(temperature, top_k=3, top_p=0.9) for temperature in (1e-30, 1e-39, 5e-324)),
    ],
)
def test_cold_draws_are_greedy(logits: np.ndarray, sampling: Sampling) -> None:
    """Also below 1.2e-38, which is 0 in float32."""
    draws = draw(logits - 9, sampling, 3)
    np.testing.assert_array_equal(draws, np.tile(logits.argmax(-1), (3, 1)))


def test_a_temperature_above_float32_is_even_over_what_is_allowed(logits: np.ndarray) -> None:
    allowed = np.where(np.arange(V) < 4, logits, -np.inf).astype(np.float32)
    draws = draw(allowed, Sampling(1e300, top_k=V - 1))
    assert set(draws.flat) == {0, 1, 2, 3}


def test_keys_of_a_row_do_not_depend_on_the_others() -> None:
    key = jax.random.key(0)
    few, many = (jax.random.key_data(row_keys(key, rows, 4)) for rows in (2, 5))
    np.testing.assert_array_equal(few, many[:2])
    assert len(np.unique(many, axis=0)) == 5
    assert (jax.random.key_data(row_keys(key, 2, 5)) != few).any()


@pytest.mark.parametrize(
    "settings, name",
    [
        ({"temperature": -0.1}, "temperature=-0.1"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"temperature": float("inf")}, "temperature=inf"),
        ({"top_k": 0}, "top_k=0"),
        ({"top_p": 0.0}, "top_p=0.0"),
        ({"top_p": 1.5}, "top_p=1.5"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], name: str) -> None:
    with pytest.raises(UserError, match=name):
        Sampling(**settings)
