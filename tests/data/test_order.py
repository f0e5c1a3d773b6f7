from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seqmodels.data import order


def test_draws_are_those_of_the_first_release() -> None:
    # A change here changes the data order of every run there ever was.
    assert order.draw(3, "crops", 5, 3).tolist() == [
        10561558917527279320,
        14953523731019563653,
        6865951656444186903,
    ]
    assert order.permutation(3, "windows", 5, 7).tolist() == [5, 6, 2, 1, 0, 3, 4]


def test_draws_depend_on_seed_purpose_and_index() -> None:
    keys = [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1), (-1, "a", 0), (0, "a", 2**40)]
    draws = {tuple(order.draw(*key, 2).tolist()) for key in keys}
    assert len(draws) == len(keys)
    assert (order.draw(0, "a", 0, 9)[:4] == order.draw(0, "a", 0, 4)).all()


def test_permutations_are_uniform() -> None:
    counts = np.zeros((3, 3))
    for epoch in range(3000):
        counts[np.arange(3), order.permutation(0, "test", epoch, 3)] += 1
    spread = np.sqrt(3000 * (1 / 3) * (2 / 3))
    assert (np.abs(counts - 1000) < 5 * spread).all()


@given(st.integers(1, 60), st.integers(1, 17))
def test_items_are_dealt_evenly_and_in_order(number: int, batch_size: int) -> None:
    plan = order.deal(np.arange(number)[::-1], batch_size)
    assert plan.shape == (-(-number // batch_size), batch_size)
    real = plan >= 0
    assert plan[real].tolist() == list(range(number))[::-1]
    assert np.ptp(real.sum(1)) <= 1
