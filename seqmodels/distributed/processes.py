"""Several processes as one run: which of them this is, and what they tell one another.

What they say goes over the key-value store of jax's coordination service and touches no device.
Every process calls `exchange` and `decide` equally often and in the same order. A process that is
alone needs nobody: there the calls cost nothing, and jax is not imported.
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
_LOOK_MS = 500  # of one look at the store: a wait is many, so that Ctrl-C comes through
_LISTEN_S = 60  # the same of a thread
_RETRY_S = 1  # before a thread asks again where the service did not answer
_ERRORS: tuple[type[Exception], ...] = (UserError, RunFailure)


@runtime_checkable
class Store(Protocol):
    """What is used of jax's coordination service: text by key, set once, seen by all."""

    def key_value_set(self, key: str, value: str) -> None: ...

    def blocking_key_value_get(self, key: str, timeout_in_ms: int) -> str: ...


class Group:
    """The processes of a run, as one of them sees them.

    Attributes:
      index: of this process, from 0; process 0 decides, and writes.
      count: how many there are.
    """

    def __init__(self, store: Store | None, index: int, count: int) -> None:
        self._store, self.index, self.count = store, index, count
        self._turns = itertools.count()

    def exchange(self, value: T) -> list[T]:
        """Returns the value (JSON) of every process, by index, once all have called."""
        if self._store is None:
            return [value]
        turn = next(self._turns)
        self._store.key_value_set(f"turn/{turn}/{self.index}", json.dumps(value))
        return [json.loads(self.get(f"turn/{turn}/{i}")) for i in range(self.count)]

    def decide(self, make: Callable[[], T]) -> T:
        """Returns what `make` returns (JSON) in process 0, the only one that calls it.

        Raises:
          UserError, RunFailure: in every process, where `make` raises it.
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
        """Sets a key; returns whether it was the first to do so."""
        assert self._store is not None
        try:
            self._store.key_value_set(key, value)
        except Exception as error:  # jax has no class of its own for this
            if "ALREADY_EXISTS" not in str(error):
                raise
            return False
        return True

    def get(self, key: str, seconds: float = math.inf) -> str:
        """Waits for a key.

        Raises:
          TimeoutError: nobody has set it within the time.
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
        """Calls `act` with the value of a key, in a thread, once somebody has set it."""

        def wait() -> None:
            value = None
            while value is None:
                try:
                    value = self._look(key, 1000 * _LISTEN_S)
                except Exception:  # it passes, or jax ends this process
                    if current() is not self:  # which has left
                        return
                    time.sleep(_RETRY_S)
            act(value)

        threading.Thread(target=wait, name=f"jax_listen {key}", daemon=True).start()


ALONE = Group(None, 0, 1)
_current = ALONE


def current() -> Group:
    """The group of this process; `ALONE` unless it has joined others."""
    return _current


def set_current(group: Group) -> None:
    """Makes this process a member of a group."""
    global _current
    _current = group


def is_main() -> bool:
    """Whether this is process 0: the one that writes files and talks to a person."""
    return current().index == 0


def exchange(value: T) -> list[T]:
    """See `Group.exchange`."""
    return current().exchange(value)


def decide(make: Callable[[], T]) -> T:
    """See `Group.decide`."""
    return current().decide(make)
