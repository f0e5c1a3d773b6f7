"""Figures by the length of the inputs."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from seqmodels.tasks.lengths import (
    BY_LENGTH,
    count_by_length,
    length_tables,
    sum_by_length,
    summarize_by_length,
)

LENGTHS = (1, 2, 3, 4, 5, 8, 9)
SEGMENTS = jnp.array([[1] * n + [0] * (11 - n) for n in LENGTHS])


def test_each_length_is_in_its_bin() -> None:
    weights = jnp.array([1.0, 1, 1, 1, 1, 0, 1])
    values = jnp.array([10.0, 20, 30, 50, 70, np.nan, 90])
    sums = sum_by_length(values, weights, SEGMENTS)
    rows = summarize_by_length(sums, "loss")[BY_LENGTH]
    assert rows == [
        {"shortest": 1, "longest": 1, "loss": 10.0, "num_targets": 1},
        {"shortest": 2, "longest": 2, "loss": 20.0, "num_targets": 1},
        {"shortest": 3, "longest": 4, "loss": 40.0, "num_targets": 2},
        {"shortest": 5, "longest": 8, "loss": 70.0, "num_targets": 1},
        {"shortest": 9, "longest": 16, "loss": 90.0, "num_targets": 1},
    ]
    (table,) = length_tables({BY_LENGTH: rows})
    assert table.row_count == len(rows)
    assert summarize_by_length(sum_by_length(values, weights, None)) == {}


def test_labels_count_at_the_length_of_their_row() -> None:
    targets = jnp.array([[0, 1, 0], [1, 1, 0]])
    logits = jnp.eye(2)[jnp.array([[0, 1, 1], [1, 0, 0]])]
    segments = jnp.array([[1, 1, 1], [1, 1, 0]])
    weights = jnp.array([[1.0, 1, 1], [1, 1, 0]])
    rows = summarize_by_length(count_by_length(logits, targets, weights, segments))[BY_LENGTH]
    assert [(row["longest"], row["num_targets"]) for row in rows] == [(2, 2), (4, 3)]
    assert np.allclose([row["accuracy"] for row in rows], [1 / 2, 2 / 3])
