"""Shapes drawn by rule. No transcendental function takes part: every machine draws the same."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, UInt64

KINDS = ("circle", "square", "triangle", "cross")


def uniform(draws: UInt64[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Numbers in [0, 1) of the upper 53 bits."""
    return (draws >> np.uint64(11)) * 2.0**-53


def cover(
    kinds: Int[np.ndarray, " n"],
    radius: Float[np.ndarray, " n"],
    place: Float[np.ndarray, "n 2"],
    tangent: Float[np.ndarray, " n"],
    size: int,
) -> Float[np.ndarray, "n size size"]:
    """Share of each pixel that a shape covers, by the distance of its middle from the edge.

    Args:
      kinds: places in KINDS.
      radius: of the circle around each, in pixels.
      place: column and row of its middle, in pixels from the upper left corner.
      tangent: of half the angle that it is turned by, -1 to 1: a quarter turn each way.
      size: height and width of the images.
    """
    # A direction without sine and cosine.
    cosine = (1 - tangent**2) / (1 + tangent**2)
    sine = 2 * tangent / (1 + tangent**2)
    middle = np.arange(size) + 0.5
    right = middle[None, None, :] - place[:, 0, None, None]
    down = middle[None, :, None] - place[:, 1, None, None]
    cosine, sine, radius = (x[:, None, None] for x in (cosine, sine, radius))
    u, v = cosine * right + sine * down, cosine * down - sine * right
    half, across, along = 3**0.5 / 2, np.abs(u), np.abs(v)
    distances = np.stack(
        [
            np.sqrt(u**2 + v**2) - 0.8 * radius,
            np.maximum(across, along) - 0.7 * radius,
            np.maximum(v, half * across - v / 2) - radius / 2,
            np.minimum(
                np.maximum(across - radius, along - radius / 4),
                np.maximum(along - radius, across - radius / 4),
            ),
        ]
    )
    return np.clip(0.5 - distances[kinds, np.arange(len(kinds))], 0, 1)
