"""Diagnostics of memory: what is read early has to be known late."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from seqmodels.data.datasets.diagnostics import ANSWER, NO_TARGET, Diagnostic, Draws

BLANK, GO = "_", "!"


class Adding(Diagnostic):
    """The sum of the two marked of T numbers (Hochreiter and Schmidhuber, 1997).

    Columns: values, T steps of a number in [0, 1) and a marker; target, [the sum]. One marker is 1
    in each half. To predict 1 always has a squared error of 2 / 12 = 1/6, the variance of the sum.
    """

    name = "adding"
    columns = ("values", "target")
    size, shortest, reach = 100, 0, 2

    def make(self, length: int, draws: Draws) -> tuple[Any, Any]:
        half = length // 2
        marked = (draws.below(half), half + draws.below(length - half))
        series = np.zeros((length, 2), np.float32)
        series[:, 0] = [draws.fraction() for _ in range(length)]
        series[marked, 1] = 1
        return series, [float(series[marked[0], 0]) + float(series[marked[1], 0])]

    def chance(self) -> dict[str, Any]:
        return {"model": "predict 1", "loss": 1 / 6}

    def belongs(self, split: str, inputs: Any) -> bool:
        return True  # no two series of reals are the same

    def classes(self, column: str) -> None:
        return None


class Copy(Diagnostic):
    """Ten symbols, to be written after a delay of T steps (Arjovsky et al., 2016).

    Columns: text and tags of T + 20 steps: ten of eight symbols, T - 1 blanks, a marker and ten
    blanks; the answer is T + 10 blanks and the ten symbols. Every step is a target, so that a model
    without memory has a loss of 10 ln 8 / (T + 20). arXiv:1511.06464.
    """

    name = "copy"
    columns = ("text", "tags")
    size, shortest, reach = 100, 0, 2
    symbols = tuple("abcdefgh")
    answers = (BLANK, *symbols)
    num_symbols = 10

    def make(self, length: int, draws: Draws) -> tuple[str, str]:
        word = draws.picks(self.symbols, self.num_symbols)
        wait = [BLANK] * (length - 1)
        text = [*word, *wait, GO, *[BLANK] * self.num_symbols]
        tags = [*[BLANK] * (length + self.num_symbols), *word]
        return " ".join(text), " ".join(tags)

    def chance(self) -> dict[str, Any]:
        steps, count = self._size + 2 * self.num_symbols, self.num_symbols
        size = len(self.symbols)
        wrong = count * (size - 1) / size
        loss = count * math.log(size) / steps
        return {"model": "memoryless", "loss": loss, "accuracy": 1 - wrong / steps}


class SelectiveCopy(Diagnostic):
    """Sixteen symbols between blanks, to be written in order (Gu and Dao, 2023, arXiv:2312.00752).

    Columns: text and tags of T + 16 steps: sixteen of fourteen symbols at random places of T, then
    sixteen steps at which they are due. Only these are targets.
    """

    name = "selective_copy"
    columns = ("text", "tags")
    size, shortest, reach = 256, 0, 2
    answers = tuple("abcdefghijklmn")
    num_symbols = 16

    def make(self, length: int, draws: Draws) -> tuple[str, str]:
        word = draws.picks(self.answers, self.num_symbols)
        text = [BLANK] * length
        places = sorted(draws.distinct(length, self.num_symbols))
        for place, symbol in zip(places, word, strict=True):
            text[place] = symbol
        tags = [*[NO_TARGET] * length, *word]
        return " ".join([*text, *[ANSWER] * self.num_symbols]), " ".join(tags)


class Recall(Diagnostic):
    """Associative recall with several queries (MQAR; Arora et al., 2023, arXiv:2312.04927).

    Columns: text and tags of T = 16 P steps, where P is the size: P pairs of a key and its value,
    then each key once more, at a place that is i steps after the pairs with a probability in
    proportion to 1 / i; its value is due there. 128 keys and 128 values; all other steps have
    random tokens that are not among the keys of the sequence. Only the queries are targets.
    The split `longer` has the same number of pairs and up to twice the steps.
    """

    name = "recall"
    columns = ("text", "tags")
    size, shortest, reach = 4, 0, 2
    keys, answers = (tuple(f"{kind}{n}" for n in range(128)) for kind in "kv")
    steps_per_pair = 16

    def lengths(self, split: str) -> tuple[int, int]:
        steps = self.steps_per_pair * self._size
        return (steps + 1, self.reach * steps) if split == "longer" else (steps, steps)

    def make(self, length: int, draws: Draws) -> tuple[str, str]:
        keys = [self.keys[n] for n in draws.distinct(len(self.keys), self._size)]
        values = draws.picks(self.answers, self._size)
        others = [key for key in self.keys if key not in keys] + list(self.answers)
        before = 2 * self._size
        rest, tags = draws.picks(others, length - before), [NO_TARGET] * length
        weights = [2**32 // i for i in range(1, len(rest) + 1)]
        for key, value in zip(keys, values, strict=True):
            place = _weighted(weights, draws)
            weights[place] = 0
            rest[place], tags[before + place] = key, value
        pairs = itertools.chain(*zip(keys, values, strict=True))
        return " ".join([*pairs, *rest]), " ".join(tags)


def _weighted(weights: list[int], draws: Draws) -> int:
    """A place, with a probability in proportion to its weight."""
    left = draws.below(sum(weights))
    for place, weight in enumerate(weights):
        left -= weight
        if left < 0:
            return place
    raise AssertionError("weights add up")


class Induction(Diagnostic):
    """The symbol after a marker, asked for where the marker comes again (Olsson et al., 2022).

    Columns: text, label. Random symbols of sixteen; one marker somewhere among them, and one at the
    end (Gu and Dao, 2023, arXiv:2312.00752, section 4.1.2).
    """

    name = "induction"
    size, shortest, reach = 64, 8, 4
    answers = tuple("abcdefghijklmnop")

    def make(self, length: int, draws: Draws) -> tuple[str, str]:
        text = draws.picks(self.answers, length)
        place = draws.below(length - 2)
        text[place] = text[-1] = GO
        return " ".join(text), text[place + 1]
