"""Diagnostics of state: each token moves a finite automaton (Deletang et al., 2022).

Source: "Neural Networks and the Chomsky Hierarchy", arXiv:2207.02098; trained on lengths up to 40.
"""

from __future__ import annotations

import itertools

from seqmodels.data.datasets.diagnostics import Diagnostic, Draws


class Parity(Diagnostic):
    """Whether a string of bits has an even number of ones."""

    name = "parity"
    answers = ("even", "odd")

    def make(self, length: int, draws: Draws) -> tuple[str, str]:
        bits = draws.picks("01", length)
        return " ".join(bits), self.answers[bits.count("1") % 2]


class EvenPairs(Diagnostic):
    """Whether the pairs "a b" and "b a" in a string are even in number.

    They are where the first letter is the last.
    """

    name = "even_pairs"
    answers = ("even", "odd")

    def make(self, length: int, draws: Draws) -> tuple[str, str]:
        letters = draws.picks("ab", length)
        pairs = sum(one != other for one, other in itertools.pairwise(letters))
        return " ".join(letters), self.answers[pairs % 2]


class CycleNavigation(Diagnostic):
    """The place after steps forward, backward and none on a cycle of five."""

    name = "cycle_navigation"
    answers = tuple("01234")
    moves = ("stay", "forward", "backward")

    def make(self, length: int, draws: Draws) -> tuple[str, str]:
        moves = draws.picks(self.moves, length)
        place = (moves.count("forward") - moves.count("backward")) % len(self.answers)
        return " ".join(moves), self.answers[place]


class ModularArithmetic(Diagnostic):
    """The value of an expression modulo five, without brackets: "3 + 4 * 2 - 1".

    An expression has an odd number of tokens: a length that is even becomes one less.
    """

    name = "modular_arithmetic"
    answers = tuple("01234")

    def make(self, length: int, draws: Draws) -> tuple[str, str]:
        numbers = [draws.below(5) for _ in range((length + 1) // 2)]
        signs = draws.picks("+-*", len(numbers) - 1)
        text = [str(numbers[0])]
        total, term = 0, numbers[0]
        for sign, number in zip(signs, numbers[1:], strict=True):
            text += [sign, str(number)]
            if sign == "*":
                term *= number
            else:
                total, term = total + term, number if sign == "+" else -number
        return " ".join(text), self.answers[(total + term) % 5]

    def lengths(self, split: str) -> tuple[int, int]:
        """Odd lengths; those of `longer` exceed all others."""
        least, most = super().lengths(split)
        return least + (least % 2 == 0), most


def _even_permutations() -> list[tuple[int, ...]]:
    """The 60 even permutations of five things, in lexicographic order."""
    return [
        p
        for p in itertools.permutations(range(5))
        if sum(p[i] > p[j] for i in range(5) for j in range(i + 1, 5)) % 2 == 0
    ]


_ELEMENTS = _even_permutations()
_NUMBERS = {p: n for n, p in enumerate(_ELEMENTS)}
_PRODUCTS = [[_NUMBERS[tuple(q[i] for i in p)] for q in _ELEMENTS] for p in _ELEMENTS]
"""Number of "p, then q": i goes to q[p[i]]."""


class A5Words(Diagnostic):
    """The product so far of elements of A5, at every step (Merrill et al., 2024, arXiv:2404.08819).

    Columns: text, tags. The word problem of the alternating group of five things, the smallest
    group that is not solvable, is complete for NC1; tokens and tags are its 60 elements.
    """

    name = "a5_words"
    columns = ("text", "tags")
    size = 20
    answers = tuple(f"g{n}" for n in range(60))

    def make(self, length: int, draws: Draws) -> tuple[str, str]:
        elements = [draws.below(60) for _ in range(length)]
        products = itertools.accumulate(elements, lambda p, q: _PRODUCTS[p][q])
        text, tags = (" ".join(self.answers[n] for n in row) for row in (elements, products))
        return text, tags
