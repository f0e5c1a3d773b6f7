"""The wall clock of a run's rows."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


class Clock:
    """Counts the seconds of training, excluding evaluations.

    Args:
      seconds: seconds that earlier processes of the run have spent.
      step: step at which this process begins.
    """

    def __init__(self, seconds: float, step: int) -> None:
        self._earlier, self._started = seconds, time.monotonic()
        self._lap_step, self._lap_started, self._lap_waited = step, self._started, 0.0

    @property
    def seconds(self) -> float:
        """Seconds of the whole run."""
        return round(self._earlier + time.monotonic() - self._started, 3)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Stops the clock inside the context."""
        before = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - before
            self._started += spent
            self._lap_started += spent

    def lap(self, step: int, waited: float) -> tuple[int, float, float]:
        """Ends a lap and begins the next.

        Args:
          step: last step of the lap.
          waited: seconds that the devices have waited for batches since this process began.

        Returns:
          Steps, seconds, and the share of the time in which the devices waited.
        """
        now = time.monotonic()
        steps, seconds = step - self._lap_step, now - self._lap_started
        share = wait_share(waited - self._lap_waited, seconds)
        self._lap_step, self._lap_started, self._lap_waited = step, now, waited
        return steps, seconds, share


def wait_share(waited: float, seconds: float) -> float:
    """waited / seconds, from 0 to 1, to four digits."""
    return round(min(waited / max(seconds, 1e-9), 1.0), 4)
