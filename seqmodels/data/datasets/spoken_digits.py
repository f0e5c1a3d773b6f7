"""`spoken_digits`: digits as pairs of tones, one after another. Built in; reads no file."""

from __future__ import annotations

import hashlib

import numpy as np

from seqmodels.data import order
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits
from seqmodels.data.datasets.tones import SAMPLE_RATE, sine, to_16_bits
from seqmodels.data.datasets.waves import uniform
from seqmodels.data.sound_file import Recording

NUM_SOUNDS = {"train": 3000, "validation": 300, "test": 300}
MOST_DIGITS = 6
LOW = (697.0, 770.0, 852.0, 941.0)
HIGH = (1209.0, 1336.0, 1477.0)
"""In Hz, of the rows and the columns of a telephone's keys (ITU-T Q.23)."""
KEYS = ("123", "456", "789", " 0 ")
_TONE, _PAUSE = (400, 960), (160, 640)
"""Least and most samples."""
_NUM_DRAWS = 2 + 6 * MOST_DIGITS
_NOISE = 0.5


class SpokenDigits(BuiltInDataset):
    """Sound i of a split is a function of i.

    Columns: sound, text. One to six digits at 8000 Hz and 16 bits, each the two tones of its key on
    a telephone for 50 to 120 ms, after a pause of 20 to 80 ms. Each digit has a loudness and a
    pitch of its own (up to 1.5 % higher or lower), and there is uniform noise of up to half a tone.
    """

    description = "digits as pairs of tones, made up"

    def fingerprint(self) -> str:
        rule = (NUM_SOUNDS, MOST_DIGITS, LOW, HIGH, KEYS, _TONE, _PAUSE, _NOISE, 1)
        return hashlib.sha256(repr(rule).encode()).hexdigest()

    def splits(self) -> Splits:
        splits: Splits = {}
        for split, count in NUM_SOUNDS.items():
            drawn = [draw_digits(split, number) for number in range(count)]
            splits[split] = {"sound": [x for x, _ in drawn], "text": [text for _, text in drawn]}
        return splits

    def locate(self, split: str, row: int) -> str:
        return f"{split} sound {row}"


def draw_digits(split: str, number: int) -> tuple[Recording, str]:
    """A sound of a split, and its digits."""
    chance = uniform(order.draw(0, f"spoken digits of {split}", number, _NUM_DRAWS))
    count = 1 + int(MOST_DIGITS * chance[0])
    parts, text = [], ""
    for pick, pause, length, loudness, pitch, phase in chance[2:].reshape(-1, 6)[:count]:
        digit = str(int(10 * pick))
        text += digit
        parts.append(np.zeros(_between(_PAUSE, pause)))
        row = next(i for i, keys in enumerate(KEYS) if digit in keys)
        times = np.arange(_between(_TONE, length)) / SAMPLE_RATE * (1 + 0.03 * (pitch - 0.5))
        low, high = LOW[row], HIGH[KEYS[row].index(digit)]
        wave = sine(low * times + phase) + sine(high * times + 3 * phase)
        parts.append((0.5 + 0.5 * loudness) * wave / 2)
    found = np.concatenate([*parts, np.zeros(_PAUSE[1])])
    noise = uniform(order.draw(0, f"noise of digits of {split}", number, len(found)))
    mixed = found + _NOISE * (2 * noise - 1)
    return to_16_bits((0.1 + 0.8 * chance[1]) * mixed / (1 + _NOISE)), text


def _between(bounds: tuple[int, int], chance: float) -> int:
    return bounds[0] + int((bounds[1] - bounds[0] + 1) * chance)
