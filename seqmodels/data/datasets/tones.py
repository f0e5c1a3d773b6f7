"""`tones`: tones, intervals and chords with noise. Built in; reads no file."""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import Float

from seqmodels.data import order
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits
from seqmodels.data.datasets.waves import uniform
from seqmodels.data.sound_file import Recording, make_recording

CHORDS = {
    "tone": (1.0,),
    "octave": (1.0, 2.0),
    "fifth": (1.0, 1.5),
    "major": (1.0, 1.25, 1.5),
    "minor": (1.0, 1.2, 1.5),
    "diminished": (1.0, 1.2, 1.44),
}
"""Class -> frequencies of its tones, in parts of the lowest."""
CLASSES = tuple(CHORDS)
NUM_SOUNDS = {"train": 5000, "validation": 500, "test": 500}
SAMPLE_RATE = 8000
NUM_SAMPLES = 3200
LOWEST = (500.0, 1000.0)
"""In Hz."""
_MOST_TONES = 3
_NUM_DRAWS = 2 + 2 * _MOST_TONES
_NOISE = 0.1


class Tones(BuiltInDataset):
    """Sound i of a split is a function of i; its class is i mod 6.

    Columns: sound, label. 0.4 seconds at 8000 Hz and 16 bits. The lowest tone is anywhere from 500
    to 1000 Hz; each tone has a phase and a loudness of its own (a factor of 2 at most), the whole a
    loudness from 0.1 to 0.9, and there is uniform noise of up to a tenth of it. The sine is a
    polynomial (see `sine`), so that every machine makes the same samples.
    """

    description = "tones and chords, made up"

    def fingerprint(self) -> str:
        rule = (NUM_SOUNDS, SAMPLE_RATE, NUM_SAMPLES, LOWEST, CHORDS, _NOISE, 1)
        return hashlib.sha256(repr(rule).encode()).hexdigest()

    def splits(self) -> Splits:
        return {
            split: {
                "sound": [draw_chord(split, i) for i in range(count)],
                "label": [CLASSES[i % len(CLASSES)] for i in range(count)],
            }
            for split, count in NUM_SOUNDS.items()
        }

    def classes(self, column: str) -> tuple[str, ...] | None:
        return CLASSES if column == "label" else None

    def locate(self, split: str, row: int) -> str:
        return f"{split} sound {row}"


def draw_chord(split: str, number: int) -> Recording:
    """A sound of a split."""
    draws = order.draw(0, f"tones of {split}", number, _NUM_DRAWS + NUM_SAMPLES)
    chance = uniform(draws)
    lowest = LOWEST[0] + (LOWEST[1] - LOWEST[0]) * chance[0]
    found = np.zeros(NUM_SAMPLES)
    ratios = CHORDS[CLASSES[number % len(CLASSES)]]
    for ratio, phase, loudness in zip(ratios, chance[2:5], chance[5:8], strict=False):
        turns = lowest * ratio * np.arange(NUM_SAMPLES) / SAMPLE_RATE + phase
        found += (0.5 + 0.5 * loudness) * sine(turns) / len(ratios)
    found += _NOISE * (2 * chance[_NUM_DRAWS:] - 1)
    return to_16_bits((0.1 + 0.8 * chance[1]) * found / (1 + _NOISE))


def to_16_bits(samples: Float[np.ndarray, " n"]) -> Recording:
    """A recording as a WAV file of 16 bits would have it."""
    return make_recording(np.rint(samples * 32767).astype(np.int16), SAMPLE_RATE)


def sine(turns: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """sin(2 pi x) to 4e-6, by additions and multiplications alone.

    sin(pi y / 2) for y in -1 .. 1 by its Taylor series of degree 9. Libraries round their own sine
    differently.
    """
    x = turns - np.floor(turns)
    quarter = 4 * x
    y = np.where(quarter < 1, quarter, np.where(quarter < 3, 2 - quarter, quarter - 4))
    square = y * y
    total = np.zeros_like(y)
    for coefficient in _TAYLOR:
        total = total * square + coefficient
    return total * y


_HALF_PI = 1.5707963267948966
_TAYLOR = tuple(
    sign * _HALF_PI**degree / factorial
    for sign, degree, factorial in (
        *((1, 9, 362_880), (-1, 7, 5040), (1, 5, 120)),
        *((-1, 3, 6), (1, 1, 1)),
    )
)
"""Coefficients of y^9, y^7, .., y."""
