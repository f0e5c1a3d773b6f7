"""`numbers`: numbers in English words and in digits. Built in; reads no file."""

from __future__ import annotations

import hashlib

import numpy as np

from seqmodels.data import order
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits

END = 1_000_000
"""Numbers are 0 to END - 1."""
NUM_PAIRS = {"train": 20_000, "validation": 1_000, "test": 1_000}
_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen"),
    *("seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ALWAYS_TRAINED = 100
"""All other numbers are put together from those below."""


class Numbers(BuiltInDataset):
    """Pair i of a split is a function of i: a number of digits, all equally likely, then a number.

    Columns: source, target. A number belongs to one split: 5 of 100 to validation, 5 to test, of
    those from 100 on. It may occur more than once: the held-out numbers of three digits are few.
    """

    description = "numbers, made up"

    def fingerprint(self) -> str:
        rule = (END, NUM_PAIRS, _SMALL, _TENS, _ALWAYS_TRAINED, 1)
        return hashlib.sha256(repr(rule).encode()).hexdigest()

    def splits(self) -> Splits:
        numbers = split_numbers()
        return {split: _draw(split, numbers[split], count) for split, count in NUM_PAIRS.items()}

    def locate(self, split: str, row: int) -> str:
        return f"{split} pair {row}"


def split_numbers() -> dict[str, np.ndarray]:
    """Returns the numbers of each split, in their order."""
    lot = order.draw(0, "split of numbers", 0, END) % np.uint64(20)
    lot[:_ALWAYS_TRAINED] = 2
    return {
        "train": np.flatnonzero(lot > 1),
        "validation": np.flatnonzero(lot == 0),
        "test": np.flatnonzero(lot == 1),
    }


def _draw(split: str, numbers: np.ndarray, count: int) -> dict[str, list[str]]:
    draws = order.draw(0, f"numbers of {split}", 0, 2 * count).reshape(count, 2)
    powers = 10 ** np.arange(1, len(str(END - 1)) + 1)
    bounds = np.concatenate([[0], np.searchsorted(numbers, powers)])
    lengths = np.flatnonzero(np.diff(bounds))  # held-out splits have no short ones
    length = lengths[(draws[:, 0] % np.uint64(len(lengths))).astype(np.int64)]
    first, size = bounds[length], np.diff(bounds)[length]
    chosen = numbers[first + (draws[:, 1] % size.astype(np.uint64)).astype(np.int64)].tolist()
    return {"source": [write(n) for n in chosen], "target": [str(n) for n in chosen]}


def write(number: int) -> str:
    """Writes a number below a million: "forty-two thousand one hundred and seven"."""
    if number >= 1000:
        rest = number % 1000
        ending = "" if not rest else f" and {write(rest)}" if rest < 100 else f" {write(rest)}"
        return f"{write(number // 1000)} thousand{ending}"
    if number >= 100:
        ending = f" and {write(number % 100)}" if number % 100 else ""
        return f"{_SMALL[number // 100]} hundred{ending}"
    if number >= 20:
        ones = f"-{_SMALL[number % 10]}" if number % 10 else ""
        return _TENS[number // 10 - 2] + ones
    return _SMALL[number]
