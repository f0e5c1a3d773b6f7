"""The processes of a run and the exchange of values between them.

Values go through the key-value store of jax's coordination service and do not touch a device.
Every process must call `exchange` and `decide` equally often and in the same order. In a run of one
process the calls cost nothing, and jax is not imported.
"""

from __future__ import annotations

import itertools
import json
import math
import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

from seqmodels.config.errors import RunFailure, UserError

T = TypeVar("T")
_LOOK_MS = 500  # timeout of one request; a wait is many of them, so that Ctrl-C works meanwhile
_LISTEN_S = 60  # the same for a thread
_RETRY_S = 1  # delay before a thread asks again after the service did not answer
_ERRORS: tuple[type[Exception], ...] = (UserError, RunFailure)


@runtime_checkable
class Store(Protocol):
    """The part of jax's coordination service in use: text by key, set once, visible to all."""

    def key_value_set(self, key: str, value: str) -> None: ...

    def blocking_key_value_get(self, key: str, timeout_in_ms: int) -> str: ...


class Group:
    """The processes of a run, from the view of one of them.

    Attributes:
      index: index of this process, from 0; process 0 makes decisions and writes files.
      count: number of processes.
    """

    def __init__(self, store: Store | None, index: int, count: int) -> None:
        self._store, self.index, self.count = store, index, count
        self._turns = itertools.count()

    def exchange(self, value: T) -> list[T]:
        """Returns the values (JSON) of all processes by index, once each has called it."""
        if self._store is None:
            return [value]
        turn = next(self._turns)
        self._store.key_value_set(f"turn/{turn}/{self.index}", json.dumps(value))
        return [json.loads(self.get(f"turn/{turn}/{i}")) for i in range(self.count)]

    def decide(self, make: Callable[[], T]) -> T:
        """Returns in every process what `make` returns (JSON) in process 0, which alone calls it.

        Raises:
          UserError, RunFailure: in every process, if `make` raises it.
        """
        if self._store is None:
            return make()
        turn, answer = next(self._turns), {}
        if self.index == 0:
            try:
                answer = {"value": make()}
            except _ERRORS as error:
                kind = next(n for n, kind in enumerate(_ERRORS) if isinstance(error, kind))
                answer = {"kind": kind, "line": str(error)}
            self._store.key_value_set(f"turn/{turn}", json.dumps(answer))
        answer = json.loads(self.get(f"turn/{turn}"))
        if "line" in answer:
            raise _ERRORS[answer["kind"]](answer["line"])
        return answer["value"]

    def put(self, key: str, value: str) -> bool:
        """Sets a key; returns whether this process was the first to do so."""
        assert self._store is not None
        try:
            self._store.key_value_set(key, value)
        except Exception as error:  # jax has no specific class for this
            if "ALREADY_EXISTS" not in str(error):
                raise
            return False
        return True

    def get(self, key: str, seconds: float = math.inf) -> str:
        """Waits for a key.

        Raises:
          TimeoutError: no process set it in time.
        """
        until = time.monotonic() + seconds
        while (value := self._look(key, _LOOK_MS)) is None:
            if time.monotonic() >= until:
                raise TimeoutError(key)
        return value

    def _look(self, key: str, milliseconds: int) -> str | None:
        assert self._store is not None
        try:
            return self._store.blocking_key_value_get(key, milliseconds)
        except Exception as error:  # as above
            if "DEADLINE_EXCEEDED" not in str(error):
                raise
            return None

    def listen(self, key: str, act: Callable[[str], None]) -> None:
        """Calls `act` in a thread with the value of a key, once some process has set it."""

        def wait() -> None:
            value = None
            while value is None:
                try:
                    value = self._look(key, 1000 * _LISTEN_S)
                except Exception:  # it is temporary, or jax ends this process
                    if current() is not self:  # this process has disconnected
                        return
                    time.sleep(_RETRY_S)
            act(value)

        threading.Thread(target=wait, name=f"jax_listen {key}", daemon=True).start()


ALONE = Group(None, 0, 1)
_current = ALONE


def current() -> Group:
    """The group of this process; `ALONE` unless the run is distributed."""
    return _current


def set_current(group: Group) -> None:
    """Sets the group of this process."""
    global _current
    _current = group


def is_main() -> bool:
    """Whether this is process 0, which writes files and the output for the user."""
    return current().index == 0


def exchange(value: T) -> list[T]:
    """See `Group.exchange`."""
    return current().exchange(value)


def decide(make: Callable[[], T]) -> T:
    """See `Group.decide`."""
    return current().decide(make)
