from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodels.data.packing import (
    MAX_BUCKETS,
    best_fit_decreasing,
    choose_widths,
    cut_pieces,
    ranges,
)


def naive_best_fit(lengths: list[int], capacity: int) -> list[int]:
    """Free columns of the rows, by looking at every row for every piece."""
    free: list[int] = []
    for length in lengths:
        fitting = [row for row, room in enumerate(free) if room >= length]
        if fitting:
            free[min(fitting, key=lambda row: free[row])] -= length
        else:
            free.append(capacity - length)
    return sorted(free)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 30), st.lists(st.integers(1, 30), min_size=1, max_size=60))
def test_best_fit_decreasing_equals_the_naive_one(capacity: int, lengths: list[int]) -> None:
    lengths = sorted((min(length, capacity) for length in lengths), reverse=True)
    rows, columns = best_fit_decreasing(np.array(lengths), capacity)
    used = np.zeros((rows.max() + 1, capacity), int)
    for row, column, length in zip(rows, columns, lengths, strict=True):
        used[row, column : column + length] += 1
    assert used.sum() == sum(lengths) and used.max() == 1
    assert sorted((used == 0).sum(1).tolist()) == naive_best_fit(lengths, capacity)


def cost(lengths: list[int], widths: tuple[int, ...], batch_size: int) -> int:
    counts = dict.fromkeys(widths, 0)
    for length in lengths:
        counts[min(w for w in widths if w >= length)] += 1
    return sum(-(-n // batch_size) * batch_size * width for width, n in counts.items())


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.lists(st.integers(1, 11), min_size=1, max_size=40))
def test_widths_are_the_best_of_all(batch_size: int, lengths: list[int]) -> None:
    widths = tuple(choose_widths(np.array(lengths), batch_size).tolist())
    assert widths == tuple(sorted(set(widths))) and widths[-1] == max(lengths)
    assert len(widths) <= MAX_BUCKETS
    others = sorted(set(lengths) - {max(lengths)})
    best = min(
        cost(lengths, (*chosen, max(lengths)), batch_size)
        for number in range(MAX_BUCKETS)
        for chosen in itertools.combinations(others, number)
    )
    assert cost(lengths, widths, batch_size) == best


def test_widths_of_many_lengths_stay_few() -> None:
    lengths = np.random.default_rng(0).integers(1, 5000, 20000)
    widths = choose_widths(lengths, 32)
    assert len(widths) == MAX_BUCKETS and widths[-1] == lengths.max()
    assert np.isin(widths, lengths).all()


def test_pieces_overlap_by_one_token_so_that_no_target_is_lost() -> None:
    starts, lengths = cut_pieces(np.array([0, 9, 9, 10, 12, 21]), 4)
    # Documents of 9, 0, 1, 2 and 9 tokens have 8, 0, 0, 1 and 8 targets.
    assert starts.tolist() == [0, 4, 10, 12, 16]
    assert lengths.tolist() == [4, 4, 1, 4, 4]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 6)), max_size=9))
def test_ranges(pairs: list[tuple[int, int]]) -> None:
    starts, lengths = (np.array([p[i] for p in pairs], np.int64) for i in (0, 1))
    expected = [i for start, length in pairs for i in range(start, start + length)]
    assert ranges(starts, lengths).tolist() == expected
