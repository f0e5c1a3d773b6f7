"""SIGTERM and Ctrl-C, noticed between two calls of the compiled step."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

_STOPS = b"\nstops once this step is saved; Ctrl-C again stops at once\n"


class StopRequest:
    """Whether somebody asked the run to stop, and the exit status that says so."""

    def __init__(self) -> None:
        self.signal: int | None = None

    @property
    def exit_status(self) -> int:
        """143 after SIGTERM, 130 after Ctrl-C, 0 otherwise."""
        return 0 if self.signal is None else 128 + self.signal

    def due(self, step: int) -> bool:
        """Whether the run stops behind `step`."""
        return self.signal is not None

    def settle(self) -> None:
        """Called once behind the last step."""


@contextlib.contextmanager
def stop_on_signals(request: StopRequest) -> Iterator[StopRequest]:
    """Turns SIGTERM and SIGINT into a request; a second SIGINT interrupts at once."""
    if threading.current_thread() is not threading.main_thread():
        yield request  # Handlers belong to the main thread; its owner decides when to stop.
        return

    def handle(number: int, frame: FrameType | None) -> None:
        again, request.signal = request.signal is not None, number
        if number == signal.SIGINT:
            if again:
                raise KeyboardInterrupt
            # Not by way of the progress bar, which may be in the midst of a line. It comes last:
            # who reads it may answer with the second Ctrl-C before this returns.
            os.write(sys.stderr.fileno(), _STOPS)

    previous = {n: signal.signal(n, handle) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
