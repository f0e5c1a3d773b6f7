"""Handling of SIGTERM and Ctrl-C between calls of the compiled step."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

_STOPS = b"\nstopping once this step is saved; press Ctrl-C again to stop at once\n"


class StopRequest:
    """A possible request to stop the run, and the exit status that follows from it."""

    def __init__(self) -> None:
        self.signal: int | None = None

    @property
    def exit_status(self) -> int:
        """143 after SIGTERM, 130 after Ctrl-C, 0 otherwise."""
        return 0 if self.signal is None else 128 + self.signal

    def due(self, step: int) -> bool:
        """Whether the run stops after `step`."""
        return self.signal is not None

    def finish(self) -> None:
        """Must be called once after the last step."""


@contextlib.contextmanager
def stop_on_signals(request: StopRequest) -> Iterator[StopRequest]:
    """Turns SIGTERM and SIGINT into a stop request; a second SIGINT interrupts at once."""
    if threading.current_thread() is not threading.main_thread():
        yield request  # only the main thread can set handlers; its owner decides when to stop
        return

    def handle(number: int, frame: FrameType | None) -> None:
        again, request.signal = request.signal is not None, number
        if number == signal.SIGINT:
            if again:
                raise KeyboardInterrupt
            # Bypasses the progress bar, which may be in the middle of a line. Comes last because
            # the user may respond with the second Ctrl-C before this returns.
            os.write(sys.stderr.fileno(), _STOPS)

    previous = {n: signal.signal(n, handle) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
