"""`ball`: places of a ball that bounces in a box. Built in; reads no file."""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import Float, Int

from seqmodels.data import order
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits
from seqmodels.data.datasets.series import Series

SPLITS = {"train": (0, 4000), "validation": (4000, 4200), "test": (4200, 4700)}
"""Number of the first flight, and of the one after the last."""
NUM_STEPS = 60
RADIUS = 0.05
FASTEST = 0.06
"""Of each coordinate, in boxes per step."""


class Ball(BuiltInDataset):
    """Flight i is a function of i alone. Column: values, the coordinates x and y of its middle.

    The box is 1 wide and high. The ball starts anywhere, flies straight at a speed that differs
    from flight to flight, and is reflected without loss where its edge meets a wall:

        p_t = r + |((p_0 - r + v t) mod 2 w) folded at w|,   w = 1 - 2 r

    No transcendental function takes part, so that every machine computes the same bits.
    """

    description = "flights of a ball, made up"

    def fingerprint(self) -> str:
        settings = repr((SPLITS, NUM_STEPS, RADIUS, FASTEST, 1))
        return hashlib.sha256(settings.encode() + fly(np.arange(4)).tobytes()).hexdigest()

    def splits(self) -> Splits:
        return {
            split: {"values": [Series(one, ("x", "y")) for one in fly(np.arange(first, end))]}
            for split, (first, end) in SPLITS.items()
        }

    def locate(self, split: str, row: int) -> str:
        return f"{split} flight {row}"


def fly(numbers: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n T 2"]:
    """The places of these flights."""
    draws = np.stack([order.draw(0, "ball", int(number), 4) for number in numbers])
    chance = (draws >> np.uint64(11)) * 2.0**-53
    width = 1 - 2 * RADIUS
    start, speed = width * chance[:, None, :2], FASTEST * (2 * chance[:, None, 2:] - 1)
    place = (start + speed * np.arange(NUM_STEPS)[None, :, None]) % (2 * width)
    return RADIUS + np.minimum(place, 2 * width - place)
