"""Reversal of a source, and the window of local-p."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.ops.alignment import local_weights, reverse_valid
from tests.tolerances import TOLERANCE

B, S = 3, 6


def test_valid_tokens_change_places_and_padding_stays() -> None:
    valid = np.array([[1, 1, 0, 1, 1, 0], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0]], bool)
    x = np.arange(B * S).reshape(B, S, 1).astype(np.float32)
    got = jax.jit(reverse_valid)(x, valid)
    wanted = x.copy()
    for row, marks in zip(wanted, valid, strict=True):
        row[marks] = row[marks][::-1]
    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(jax.jit(reverse_valid)(got, valid), x)


def test_the_window_is_around_the_share_of_the_real_length() -> None:
    """4 real tokens and a share of 1/2: around position 2, from 1 to 3 with D = 1, however much
    padding there is; the fade two deviations away is exp(-2)."""
    mask = jnp.arange(S)[None, None] < 4
    weights = local_weights(jnp.zeros((1, 1, S)), mask, jnp.full((1, 1), 0.5), 1)
    edge = np.exp(-2.0) / 3
    np.testing.assert_allclose(weights[0, 0], [0, edge, 1 / 3, edge, 0, 0], **TOLERANCE["rounding"])
