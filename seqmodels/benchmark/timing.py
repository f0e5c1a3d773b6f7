"""Interleaved timings: what is compared runs in turn, so that a drift of the machine meets all."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping

import jax


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds of the counted runs of one candidate."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> tuple[float, float]:
        """The fastest and the slowest run."""
        return min(self.seconds), max(self.seconds)


def interleave(candidates: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Timing]:
    """Times every candidate once a round, after one round of warm-up that is not counted.

    Args:
      candidates: functions of nothing; what they return is waited for.
      rounds: counted runs of each.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for counted in range(rounds + 1):
        for name, run in candidates.items():
            started = time.perf_counter()
            jax.block_until_ready(run())
            if counted:
                seconds[name].append(time.perf_counter() - started)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def ratio(slow: Timing, fast: Timing) -> tuple[float, float, float]:
    """slow / fast, round by round: median, lowest and highest."""
    ratios = [a / b for a, b in zip(slow.seconds, fast.seconds, strict=True)]
    return statistics.median(ratios), min(ratios), max(ratios)
