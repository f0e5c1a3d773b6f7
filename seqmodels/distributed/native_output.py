"""Filter for what native libraries write directly to the descriptors of stdout and stderr."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TextIO

_LOGGED = re.compile(r"[IWEF]\d{4} \d\d:\d\d:\d\d\S* +\d+ (\w+)\.(?:cc|h):\d+\] ")
_HIDDEN = re.compile(r"coordination_service|preemption_|^client$|add_port$")
# Connection messages of gloo, written by several threads a few words at a time.
_GLOO_NOISE = re.compile(r"\[Gloo\]|.*connected peer ranks is")
# Lines of a log record after its first.
_CONTINUATION = re.compile(r"RPC: |Additional GRPC|The tasks have crashed|[\d, ]+$|:?\{|\*\*\*|\s")
_FATAL = "JAX distributed service detected fatal errors"


class NativeOutput:
    """Redirects the output of native code to stderr and drops messages about processes.

    When a process is lost, jax's runtime logs some thirty lines and aborts, and its callback for
    that cannot be set from Python. Gloo logs its connections on stdout, where only the answer of a
    command belongs. Python's own streams are not redirected.

    Args:
      on_fatal: called in a thread with the runtime's message about a lost process. It should end
        this process before the runtime does, whose SIGABRT is delayed meanwhile.
    """

    def __init__(self, on_fatal: Callable[[str], None]) -> None:
        self._on_fatal = on_fatal
        self._streams = sys.stdout, sys.stderr
        self._kept = os.dup(1), os.dup(2)
        reading, writing = os.pipe()
        for stream in self._streams:
            stream.flush()
        sys.stdout, sys.stderr = map(_same_stream, self._streams, self._kept)
        _log_to(sys.stderr)
        for number in (1, 2):
            os.dup2(writing, number)
        os.close(writing)
        self._abort = _set_abort(_address_of_sleep())
        self._thread = threading.Thread(target=self._pass_on, args=(reading,), daemon=True)
        self._thread.start()

    def restore(self) -> None:
        """Forwards pending output and restores the descriptors."""
        sys.stdout.flush()
        sys.stderr.flush()
        for number, kept in zip((1, 2), self._kept, strict=True):
            os.dup2(kept, number)
        self._thread.join(timeout=5)  # a surviving child process may hold the pipe open
        _set_abort(self._abort)
        sys.stdout, sys.stderr = self._streams
        _log_to(sys.stderr)
        for kept in self._kept:
            os.close(kept)

    def _pass_on(self, reading: int) -> None:
        with open(reading, errors="replace") as lines:
            hidden = False
            for line in lines:
                if _FATAL in line:
                    self._on_fatal("".join([line.partition(_FATAL)[2], *_until_trace(lines)]))
                if logged := _LOGGED.match(line):
                    hidden = _HIDDEN.search(logged.group(1)) is not None
                elif _GLOO_NOISE.match(line):
                    hidden = True
                elif not _CONTINUATION.match(line):
                    hidden = False
                if not hidden:
                    with contextlib.suppress(OSError):
                        os.write(self._kept[1], line.encode())


def _until_trace(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if line.startswith("***"):
            return
        yield line


def _same_stream(stream: TextIO, descriptor: int) -> TextIO:
    return open(
        descriptor,
        "w",
        buffering=1,
        encoding=stream.encoding,
        errors=stream.errors,
        closefd=False,
    )


def _log_to(stream: TextIO) -> None:
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(stream)


def _address_of_sleep() -> int:
    """Address of libc's sleep; as a signal handler it takes SIGABRT's number, 6, as seconds."""
    return ctypes.cast(ctypes.CDLL(None).sleep, ctypes.c_void_p).value or 0


def _set_abort(handler: int) -> int:
    """Sets the address of SIGABRT's handler; returns the previous one, or 0 if there was none."""
    libc = ctypes.CDLL(None)
    libc.signal.argtypes, libc.signal.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    return libc.signal(signal.SIGABRT, handler) or 0
