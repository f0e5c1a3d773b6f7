"""Positions and document starts, against a loop over tokens."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.ops.positions import advance, alibi_slopes, continued, rotary, sinusoidal
from tests.tolerances import TOLERANCE

B, T, H, K, D = 2, 9, 3, 4, 7


def count(row: list[int], segment: int = 0, position: int = -1) -> tuple[list, list, int, int]:
    """The rule as a loop: a larger id starts a document, and 0 is skipped."""
    positions, starts = [], []
    for identifier in row:
        start = identifier > segment
        if identifier > 0:
            position = 0 if start else position + 1
            segment = max(segment, identifier)
        positions.append(position if identifier > 0 else 0)
        starts.append(start)
    return positions, starts, segment, position


ROWS = [
    [1, 1, 1, 2, 2, 3, 3, 3, 3],
    [0, 0, 1, 1, 0, 1, 2, 0, 0],
    [1, 0, 0, 1, 1, 0, 3, 3, 0],
    [0, 0, 0, 0, 0, 0, 0, 0, 0],
    [2, 4, 4, 5, 0, 5, 0, 0, 6],
]


@pytest.mark.parametrize("cut", range(T + 1))
def test_advance_counts_tokens_of_each_document_over_any_cut(cut: int) -> None:
    ids = jnp.array(ROWS, jnp.int32)
    size = len(ROWS)
    segment, position = jnp.zeros(size, jnp.int32), jnp.full(size, -1, jnp.int32)
    positions, starts, valid = [], [], []
    for chunk in (ids[:, :cut], ids[:, cut:]):
        step = advance(chunk, segment, position)
        segment, position = step.last_segment, step.last_position
        positions.append(step.positions)
        starts.append(step.starts)
        valid.append(step.valid)
    wanted = [count(row) for row in ROWS]
    np.testing.assert_array_equal(jnp.concatenate(positions, 1), [w[0] for w in wanted])
    np.testing.assert_array_equal(jnp.concatenate(starts, 1), [w[1] for w in wanted])
    np.testing.assert_array_equal(jnp.concatenate(valid, 1), np.array(ROWS) > 0)
    np.testing.assert_array_equal(segment, [w[2] for w in wanted])
    np.testing.assert_array_equal(position, [w[3] for w in wanted])


def test_continued_goes_on_with_the_document_or_begins_the_first() -> None:
    np.testing.assert_array_equal(continued(jnp.array([0, 3]), 2), [[1, 1], [3, 3]])


def test_sinusoidal_is_the_paper_s_formula() -> None:
    positions = np.array([[0, 1, 5, 300]])
    for size in (D, D + 1):
        wanted = np.zeros((1, 4, size))
        for feature in range(size):
            angle = positions / 10000 ** (2 * (feature // 2) / size)
            wanted[:, :, feature] = np.sin(angle) if feature % 2 == 0 else np.cos(angle)
        got = sinusoidal(jnp.array(positions), size)
        np.testing.assert_allclose(got, wanted, **TOLERANCE["reference"])


@pytest.mark.parametrize("base", [10000.0, 50.0])
def test_rotary_is_a_rotation_of_complex_pairs(base: float) -> None:
    x = jax.random.normal(jax.random.key(0), (B, H, T, K))
    positions = jnp.stack([jnp.arange(T), jnp.arange(T) + 20])
    pairs = np.asarray(x, np.float64)[..., : K // 2] + 1j * np.asarray(x)[..., K // 2 :]
    angles = np.asarray(positions)[:, None, :, None] / base ** (2 * np.arange(K // 2) / K)
    turned = pairs * np.exp(1j * angles)
    wanted = np.concatenate([turned.real, turned.imag], axis=-1)
    np.testing.assert_allclose(rotary(x, positions, base), wanted, **TOLERANCE["reference"])


def test_rotary_scores_depend_on_distance_alone() -> None:
    q, k = jax.random.normal(jax.random.key(0), (2, B, H, T, K))

    def scores(shift: int) -> jax.Array:
        positions = jnp.arange(T)[None] + shift
        return jnp.einsum("bhtk,bhsk->bhts", rotary(q, positions), rotary(k, positions))

    np.testing.assert_allclose(scores(0), scores(17), **TOLERANCE["reference"])


def test_alibi_slopes_are_the_paper_s() -> None:
    """8 heads: 1/2, 1/4, .. 1/256; 16: the means between them too; 12: 8 and every other of 16."""
    eight = 0.5 ** np.arange(1, 9)
    sixteen = 0.5 ** (np.arange(1, 17) / 2)
    wanted = {8: eight, 16: sixteen, 12: [*eight, *sixteen[[0, 2, 4, 6]]], 1: [1 / 256]}
    for heads, slopes in wanted.items():
        np.testing.assert_allclose(alibi_slopes(heads), slopes, **TOLERANCE["rounding"])
