"""Diagnostics of stacks, queues and trees: words to reverse, copy and sort, brackets, ListOps."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import ClassVar

from seqmodels.data.datasets.diagnostics import ANSWER, NO_TARGET, Diagnostic, Draws


class _Transduction(Diagnostic):
    """A word, and then as many steps as its answer has symbols; only these are targets.

    Source of the problems: Deletang et al., 2022, arXiv:2207.02098.
    """

    columns = ("text", "tags")
    size: ClassVar[int] = 20

    def transform(self, word: list[str]) -> list[str]:
        """The answer to a word."""
        raise NotImplementedError

    def make(self, length: int, draws: Draws) -> tuple[str, str]:
        word = draws.picks(self.answers, length)
        answer = self.transform(word)
        text = [*word, *[ANSWER] * len(answer)]
        return " ".join(text), " ".join([*[NO_TARGET] * length, *answer])


class Reverse(_Transduction):
    """A word of two letters backwards, which asks for a stack."""

    name = "reverse"
    answers = ("a", "b")

    def transform(self, word: list[str]) -> list[str]:
        return word[::-1]


class Duplicate(_Transduction):
    """A word of two letters twice, which asks for a queue."""

    name = "duplicate"
    answers = ("a", "b")

    def transform(self, word: list[str]) -> list[str]:
        return word + word


class BucketSort(_Transduction):
    """A word of five digits in order, which asks for counters."""

    name = "bucket_sort"
    answers = tuple("01234")

    def transform(self, word: list[str]) -> list[str]:
        return sorted(word)


class Dyck(Diagnostic):
    """Two kinds of brackets: at each step, the one that may close next (Suzgun et al., 2019).

    Columns: text, tags. A word is balanced, at most ten deep (Hewitt et al., 2020,
    arXiv:2010.07515); the tag of a step is the bracket that the innermost open one needs, or `end`
    where none is open. Lengths are even: one that is odd becomes one more.
    """

    name = "dyck"
    columns = ("text", "tags")
    answers = (")", "]", "end")
    pairs: ClassVar[dict[str, str]] = {"(": ")", "[": "]"}
    depth = 10

    def lengths(self, split: str) -> tuple[int, int]:
        least, most = super().lengths(split)
        return (least + 1 if split == "longer" else 2), most - most % 2

    def make(self, length: int, draws: Draws) -> tuple[str, str]:
        length += length % 2
        text: list[str] = []
        tags: list[str] = []
        needed: list[str] = []
        for left in range(length, 0, -1):
            room = len(needed) < min(self.depth, left - 1)
            if not needed or (room and draws.below(2)):
                text.append(draws.pick(tuple(self.pairs)))
                needed.append(self.pairs[text[-1]])
            else:
                text.append(needed.pop())
            tags.append(needed[-1] if needed else "end")
        return " ".join(text), " ".join(tags)


def _median(numbers: Sequence[int]) -> int:
    """The median, rounded down where it is between two numbers."""
    ranked, middle = sorted(numbers), len(numbers) // 2
    return ranked[middle] if len(ranked) % 2 else (ranked[middle - 1] + ranked[middle]) // 2


class ListOps(Diagnostic):
    """The value of nested lists, "[MAX 2 9 [MIN 4 7 ] 0 ]" (Nangia and Bowman, 2018).

    Columns: text, label. MIN, MAX, MED (the median, rounded down) and SM (the sum modulo ten) of
    two to five digits or lists; arXiv:1804.06028. Training has up to `size` tokens. An expression
    is made within a budget of tokens, which its parts share at random; a part with a budget of four
    or more is a list seven times in eight.
    """

    name = "listops"
    size, shortest, reach = 100, 4, 2
    answers = tuple("0123456789")
    operators: ClassVar[dict[str, Callable[[Sequence[int]], int]]] = {
        "[MIN": min,
        "[MAX": max,
        "[MED": _median,
        "[SM": lambda numbers: sum(numbers) % 10,
    }

    def make(self, length: int, draws: Draws) -> tuple[str, str]:
        text: list[str] = []
        value = self._list(length, draws, text)
        return " ".join(text), self.answers[value]

    def belongs(self, split: str, inputs: str) -> bool:
        longer = inputs.count(" ") >= self._size
        return longer if split == "longer" else super().belongs(split, inputs)

    def _list(self, budget: int, draws: Draws, text: list[str]) -> int:
        """Writes a list of at most `budget` tokens; returns its value."""
        name = draws.pick(tuple(self.operators))
        text.append(name)
        room = budget - 2  # without the operator and the bracket that closes
        count = 2 + draws.below(min(4, room - 1))
        cuts = sorted(draws.distinct(room - 1, count - 1))
        ends = [0, *(cut + 1 for cut in cuts), room]
        values = []
        for first, end in itertools.pairwise(ends):
            if end - first >= 4 and draws.below(8):
                values.append(self._list(end - first, draws, text))
            else:
                values.append(draws.below(10))
                text.append(str(values[-1]))
        text.append("]")
        return self.operators[name](values)
