"""Statistics of timings; durations are not tested."""

from __future__ import annotations

import math

import numpy as np
import pytest

from seqmodels.benchmark.timing import MIN_ROUNDS, Interval, enough, interval_of, ratio_of


def test_an_interval_encloses_the_median_as_often_as_it_says() -> None:
    """Of skewed numbers, over many draws."""
    rng = np.random.default_rng(0)
    for count in (MIN_ROUNDS, 9, 20):
        found = [interval_of(list(rng.exponential(size=count))) for _ in range(2000)]
        inside = np.mean([not one.excludes(math.log(2)) for one in found])
        assert 0.94 < inside < 0.995, count


def test_an_interval_is_made_of_order_statistics() -> None:
    assert interval_of([3.0, 1.0, 2.0]) == Interval(2.0, 1.0, 3.0)
    # Of 20 values the sixth from each end: 1 - 2 P(binomial(20, 1/2) <= 5) = 0.959.
    assert interval_of([float(n) for n in range(20)]) == Interval(9.5, 5.0, 14.0)


def test_a_ratio_is_taken_within_each_round() -> None:
    slow = [1.0, 10.0, 2.0]  # the machine was slow in the second round
    assert ratio_of([3.0 * x for x in slow], slow) == Interval(3.0, 3.0, 3.0)


def test_more_rounds_are_taken_until_all_intervals_are_tight() -> None:
    steady = [1.0, 1.01] * 3
    assert enough([steady, steady])
    assert not enough([steady[:-1]])
    assert not enough([steady, [1.0, 2.0, 1.5, 1.0, 2.0, 1.5]])
    assert not enough([[1.0, 2.0, 1.5, 1.0, 2.0, 1.5], steady])


def test_a_wide_interval_is_noisy() -> None:
    assert Interval(1.0, 0.9, 1.2).is_noisy
    assert not Interval(1.0, 0.99, 1.01).is_noisy


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0]])
def test_few_values_are_all_enclosed(values: list[float]) -> None:
    found = interval_of(values)
    assert (found.low, found.high) == (min(values), max(values))
