"""Interpolated modified Kneser-Ney in plain dicts, one probability at a time.

Written from the equations of Chen & Goodman (1998), section 3, and the conventions in the docstring
of `seqmodels.ops.ngram`; shares no code with it.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence

START = "start of a document"


class KneserNey:
    """P(word | context) of an n-gram model of `order`, counted in `documents`."""

    def __init__(self, documents: Iterable[Sequence[int]], vocab_size: int, order: int) -> None:
        self.vocab_size = vocab_size
        self.order = order
        occurrences: dict[tuple[int, ...], int] = collections.Counter()
        before: dict[tuple[int, ...], set] = collections.defaultdict(set)
        for document in documents:
            words = tuple(int(word) for word in document)
            for end in range(1, len(words) + 1):
                for begin in range(max(0, end - order), end):
                    gram = words[begin:end]
                    occurrences[gram] += 1
                    before[gram].add(words[begin - 1] if begin else START)
        self.counts: dict[tuple[int, ...], dict[int, int]] = collections.defaultdict(dict)
        for gram, number in occurrences.items():
            count = number if len(gram) == order else len(before[gram])
            self.counts[gram[:-1]][gram[-1]] = count
        self.discounts = [self._discounts(length) for length in range(order)]

    def _discounts(self, context_length: int) -> tuple[float, float, float]:
        n = collections.Counter(
            count
            for context, followers in self.counts.items()
            if len(context) == context_length
            for count in followers.values()
        )
        if not (n[1] and n[2]):
            return 0.5, 0.5, 0.5
        y = n[1] / (n[1] + 2 * n[2])
        if not (n[3] and n[4]):
            return y, y, y
        three = (
            1 - 2 * y * n[2] / n[1],
            2 - 3 * y * n[3] / n[2],
            3 - 4 * y * n[4] / n[3],
        )
        return three if all(0 < d <= j for j, d in enumerate(three, start=1)) else (y, y, y)

    def uses_three_discounts(self, context_length: int) -> bool:
        return len(set(self.discounts[context_length])) == 3

    def probability(self, word: int, context: Sequence[int]) -> float:
        """P(word | the last order - 1 tokens of context)."""
        context = tuple(context)[max(0, len(context) - self.order + 1) :]
        followers = self.counts.get(context)
        lower = self.probability(word, context[1:]) if context else 1 / self.vocab_size
        if not followers:
            return lower
        discounts = self.discounts[len(context)]
        total = sum(followers.values())
        freed = sum(discounts[min(count, 3) - 1] for count in followers.values())
        count = followers.get(word, 0)
        kept = count - discounts[min(count, 3) - 1] if count else 0.0
        return kept / total + freed / total * lower
