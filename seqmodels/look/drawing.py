"""Figures as PNGs, drawn here or in a process of its own. Imports no jax."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from types import TracebackType
from typing import Any

from seqmodels.config.errors import RunFailure
from seqmodels.look.sections import Section

Pictures = dict[str, dict[str, bytes]]
"""section -> name -> PNG."""


def draw(sections: Sequence[Section]) -> Pictures:
    """The figures of sections."""
    return {s.name: {name: as_png(make) for name, make in s.figures.items()} for s in sections}


def as_png(make: Callable[[], Any]) -> bytes:
    """A figure of matplotlib as a PNG."""
    buffer = io.BytesIO()
    make().savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


class Painter:
    """Draws in a process of its own, which begins to import matplotlib at once.

    Drawing takes about as long as computing what is drawn, and neither needs the other.
    """

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), _end_with_parent)
        self._waiting: dict[str, dict[str, Future[bytes]]] = {}
        # The process that begins here inherits that it ignores Ctrl-C, which is for its parent.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self._pool.submit(_import)
        finally:
            signal.signal(signal.SIGINT, handler)

    def add(self, section: Section) -> None:
        """Takes the figures of a section to be drawn."""
        submit = self._pool.submit
        figures = section.figures.items()
        self._waiting[section.name] = {name: submit(as_png, make) for name, make in figures}

    def pictures(self) -> Pictures:
        """Waits for all figures.

        Raises:
          RunFailure: the process has ended, for instance for lack of memory.
        """
        waiting = self._waiting.items()
        try:
            return {name: {key: f.result() for key, f in made.items()} for name, made in waiting}
        except BrokenProcessPool:
            raise RunFailure("the process that draws the pictures has ended") from None

    def __enter__(self) -> Painter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """A thread ends the process when its parent has ended without a word, as if killed."""

    def wait() -> None:
        parent = parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _import() -> None:
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401
