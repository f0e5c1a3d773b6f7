"""Statistics of interleaved timings. Imports no jax.

Candidates take turns, A B A B, so that drift of the machine affects all of them. One turn gives one
number, the median of its calls. A ratio is taken within each round; its interval and that of a
median are order statistics, which assume nothing about the distribution.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence

CONFIDENCE = 0.95
MIN_ROUNDS = 6
"""The fewest rounds whose smallest and largest value enclose the median with `CONFIDENCE`."""
TIGHT = 0.1
"""An interval wider than this share of its median counts as noisy."""


@dataclasses.dataclass(frozen=True)
class Interval:
    """A median and its interval."""

    median: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """Width of the interval, as a share of the median."""
        return (self.high - self.low) / self.median if self.median else math.inf

    @property
    def is_noisy(self) -> bool:
        return self.width > TIGHT

    def excludes(self, value: float) -> bool:
        """Whether `value` is outside."""
        return not self.low <= value <= self.high


def interval_of(values: Sequence[float]) -> Interval:
    """The median and its distribution-free interval (order statistics).

    Of n values in order, the k-th from each end enclose the median with the probability

        1 - 2 sum_(i < k) binomial(n, i) / 2^n

    The largest k that reaches `CONFIDENCE` is used; below `MIN_ROUNDS` values, k = 1 does not reach
    it, and the interval is that of all values.
    """
    ordered, count = sorted(values), len(values)
    outside, k = 0.0, 0
    while k < count // 2:
        outside += 2 * math.comb(count, k) / 2**count
        if outside > 1 - CONFIDENCE:
            break
        k += 1
    k = max(k, 1)
    return Interval(statistics.median(ordered), ordered[k - 1], ordered[count - k])


def ratio_of(peer: Sequence[float], own: Sequence[float]) -> Interval:
    """Ratios peer / own of each round: above 1, ours is faster."""
    return interval_of([p / o for p, o in zip(peer, own, strict=True)])


def enough(series: Sequence[Sequence[float]]) -> bool:
    """Whether the intervals of all candidates, and of the ratios to the first, are tight."""
    first, *others = series
    if len(first) < MIN_ROUNDS:
        return False
    found = [interval_of(first), *(ratio_of(other, first) for other in others)]
    return not any(one.is_noisy for one in found)
