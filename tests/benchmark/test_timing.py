"""Order of timings; durations are not tested."""

from __future__ import annotations

from seqmodels.benchmark.timing import Timing, interleave, ratio


def test_candidates_take_turns_and_the_first_round_does_not_count() -> None:
    order: list[str] = []
    timings = interleave({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3)
    assert order == ["a", "b"] * 4
    assert [len(t.seconds) for t in timings.values()] == [3, 3]


def test_ratio_pairs_the_rounds() -> None:
    assert ratio(Timing((2.0, 9.0, 8.0)), Timing((1.0, 3.0, 4.0))) == (2.0, 2.0, 3.0)
    assert Timing((3.0, 1.0, 2.0)).median == 2.0
    assert Timing((3.0, 1.0, 2.0)).spread == (1.0, 3.0)
