"""`waves`: square, triangle, sawtooth and arc waves with noise. Built in; reads no file."""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import Float, UInt64

from seqmodels.data import order
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits

CLASSES = ("square", "triangle", "sawtooth", "arc")
NUM_WAVES = {"train": 2000, "validation": 400, "test": 400}
LENGTH = 80
_NOISE = 0.6
_DECIMALS = 3


class Waves(BuiltInDataset):
    """Wave i of a split is a function of i; its class is i mod 4.

    Columns: values, label.

        x_t = a s(f t + p) + noise,    t = 0 .. 79

    with 2 to 6 periods in the whole, any phase p, a from 0.7 to 1.3 and uniform noise of up to 0.6.
    s is the shape of a period: square, triangle, sawtooth, or an arc (a parabola up, a parabola
    down). All have a mean of 0 and reach from -1 to 1. Phase and frequency differ, so that two
    waves of a class are seldom near each other. No transcendental function takes part.
    """

    description = "waves of four shapes, made up"

    def fingerprint(self) -> str:
        rule = (NUM_WAVES, LENGTH, CLASSES, _NOISE, _DECIMALS, 1)
        return hashlib.sha256(repr(rule).encode()).hexdigest()

    def splits(self) -> Splits:
        return {
            split: {
                "values": draw_waves(split, count).tolist(),
                "label": [CLASSES[i % len(CLASSES)] for i in range(count)],
            }
            for split, count in NUM_WAVES.items()
        }

    def classes(self, column: str) -> tuple[str, ...] | None:
        return CLASSES if column == "label" else None

    def locate(self, split: str, row: int) -> str:
        return f"{split} wave {row}"


def draw_waves(split: str, count: int) -> Float[np.ndarray, "n T"]:
    """The first waves of a split."""
    draws = order.draw(0, f"waves of {split}", 0, count * (LENGTH + 3)).reshape(count, -1)
    chance = uniform(draws)
    periods, phase, height = (chance[:, i, None] for i in range(3))
    at = (2 + 4 * periods) * np.arange(LENGTH) / LENGTH + phase
    at -= np.floor(at)
    kinds = np.arange(count) % len(CLASSES)
    shapes = np.stack(
        [
            np.where(at < 0.5, 1.0, -1.0),
            4 * np.abs(at - 0.5) - 1,
            2 * at - 1,
            np.where(at < 0.5, 16 * at * (0.5 - at), -16 * (at - 0.5) * (1 - at)),
        ]
    )[kinds, np.arange(count)]
    noise = _NOISE * (2 * chance[:, 3:] - 1)
    return np.round((0.7 + 0.6 * height) * shapes + noise, _DECIMALS)


def uniform(draws: UInt64[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Numbers in [0, 1) of the upper 53 bits."""
    return (draws >> np.uint64(11)) * 2.0**-53
