"""Makes the next batch while the devices are busy, and counts how long they waited for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax


class Prefetcher:
    """Makes things by number, one ahead, in a thread.

    Args:
      make: makes the thing of a number.

    Attributes:
      waited: seconds in which the devices had nothing to do, because what they needed was not
        made yet. Making it while they are busy does not count.
    """

    def __init__(self, make: Callable[[int], Any]) -> None:
        self._make = make
        self._pool = ThreadPoolExecutor(1, "ahead")
        self._started: tuple[int, Future[Any], Any] | None = None
        self.waited = 0.0

    def start(self, number: int, busy: Any) -> None:
        """Starts to make the thing of a number while the devices compute the arrays of `busy`."""
        self._started = number, self._pool.submit(self._make, number), busy

    def take(self, number: int) -> Any:
        """Returns the thing of a number, made now if it is not the one that was started."""
        started, self._started = self._started, None
        if started is None or started[0] != number:
            before = time.monotonic()
            made = self._make(number)
            self.waited += time.monotonic() - before
            return made
        _, future, busy = started
        if not future.done():
            # The devices get nothing new before it is made, so to wait for them first costs little.
            jax.block_until_ready(busy)
            idle_since = time.monotonic()
            future.exception()
            self.waited += time.monotonic() - idle_since
        return future.result()

    def close(self) -> None:
        """Ends the thread."""
        self._pool.shutdown(cancel_futures=True)
