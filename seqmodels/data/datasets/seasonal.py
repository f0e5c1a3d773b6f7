"""`seasonal`: hourly series with a day, a week, a trend and noise. Built in; reads no file."""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import Float

from seqmodels.data import order
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits
from seqmodels.data.datasets.series import Series, cut_in_time

CHANNELS = ("load", "flow", "visits")
DAY, WEEK = 24, 168
ENDS = (18 * WEEK, 22 * WEEK, 26 * WEEK)
"""Steps after the last of training, validation and test: 18, 4 and 4 weeks."""


class Seasonal(BuiltInDataset):
    """Three channels over half a year. Column: values.

        x_t = 10 + a t / WEEK + (1 + b t / WEEK) (day[t mod 24] + week[t div 24 mod 7]) + n_t
        n_t = 0.7 n_(t-1) + e_t

    The profiles of a day and a week, the trends a and b and the noise e, a sum of four uniform
    numbers of deviation 0.3, are drawn by a counter. No transcendental function takes part.
    """

    description = "seasonal series, made up"

    def fingerprint(self) -> str:
        return hashlib.sha256(repr((ENDS, 1)).encode() + make_values().tobytes()).hexdigest()

    def splits(self) -> Splits:
        cut = cut_in_time(Series(make_values(), CHANNELS), ENDS)
        return {split: {"values": [series]} for split, series in cut.items()}

    def locate(self, split: str, row: int) -> str:
        del row
        return f"the {split} split of seasonal"


def make_values() -> Float[np.ndarray, "T C"]:
    """The series."""
    return np.stack([_make_channel(number) for number in range(len(CHANNELS))], axis=1)


def _make_channel(number: int) -> Float[np.ndarray, " T"]:
    size = ENDS[-1]
    drawn = order.draw(0, "seasonal", number, DAY + 7 + 2 + 4 * size)
    chance = (drawn >> np.uint64(11)) * 2.0**-53
    day, week, trends, noise = np.split(chance, (DAY, DAY + 7, DAY + 9))
    # Neighbouring hours are close: each is the mean of three.
    day = (np.roll(day, 1) + day + np.roll(day, -1)) * 2
    steps = np.arange(size)
    season = day[steps % DAY] + week[steps // DAY % 7]
    weeks = steps / WEEK
    wanted = 10 + (trends[0] - 0.5) * 0.2 * weeks + (1 + 0.02 * trends[1] * weeks) * season
    # Four uniform numbers have a deviation of sqrt(4 / 12) in all.
    shocks = 0.3 * 3**0.5 * (noise.reshape(size, 4).sum(axis=1) - 2)
    rest, found = 0.0, np.empty(size)
    for step, shock in enumerate(shocks.tolist()):
        rest = 0.7 * rest + shock
        found[step] = rest
    return wanted + found
