"""Patches against loops, and their positions against the equation."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np

from seqmodels.layers.patches import cut_patches, sinusoidal_2d
from tests.tolerances import TOLERANCE


def test_patches_are_squares_row_by_row_in_the_order_row_column_channel() -> None:
    images = np.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3)
    got = np.asarray(cut_patches(jnp.asarray(images), 2))
    assert got.shape == (2, 6, 12)
    for n in range(6):
        row, column = 2 * (n // 3), 2 * (n % 3)
        square = images[:, row : row + 2, column : column + 2]
        np.testing.assert_array_equal(got[:, n], square.reshape(2, -1))


def test_sines_of_column_and_row() -> None:
    rows, columns, dim = 2, 3, 8
    got = sinusoidal_2d(rows, columns, dim)
    for n in range(rows * columns):
        row, column = divmod(n, columns)
        wanted = [
            wave(place * 10000.0 ** (-4 * i / dim))
            for place in (column, row)
            for wave in (math.sin, math.cos)
            for i in range(dim // 4)
        ]
        np.testing.assert_allclose(got[n], wanted, **TOLERANCE["rounding"])
    assert len(np.unique(got, axis=0)) == rows * columns
