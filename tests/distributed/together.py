"""Several processes as one run: simulated by threads with a dict as the store, or real ones."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from seqmodels.distributed import processes
from seqmodels.distributed.processes import Group
from seqmodels.runs.rows import read_rows

T = TypeVar("T")
TIME_LIMIT = 500


class FakeStore:
    """Fake of jax's key-value store."""

    def __init__(self, **values: str) -> None:
        self.values = values
        self._until = time.monotonic() + 200
        self._changed = threading.Condition()

    def key_value_set(self, key: str, value: str) -> None:
        with self._changed:
            if key in self.values:
                raise ValueError(f"ALREADY_EXISTS: {key}")
            self.values[key] = value
            self._changed.notify_all()

    def blocking_key_value_get(self, key: str, timeout_in_ms: int) -> str:
        with self._changed:
            assert time.monotonic() < self._until, f"no process sets {key}"
            if not self._changed.wait_for(lambda: key in self.values, timeout_in_ms / 1000):
                raise TimeoutError(f"DEADLINE_EXCEEDED: {key}")
            return self.values[key]


@contextlib.contextmanager
def as_process(index: int, count: int, **values: str) -> Iterator[FakeStore]:
    """Makes this process one of several, which have stored `values` so far."""
    store = FakeStore(**values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "_current", Group(store, index, count))
        yield store


def in_threads(count: int, act: Callable[[Group], T]) -> list[T]:
    """Runs `act` as each of several processes; returns what they return, by index."""
    store, local, results = FakeStore(), threading.local(), {}

    def run(index: int) -> None:
        local.group = Group(store, index, count)
        try:
            results[index] = act(local.group)
        except Exception as error:
            results[index] = error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "current", lambda: local.group)
        threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=200)
    assert len(results) == count, f"only {sorted(results)} of {count} finished"
    return [results[i] for i in range(count)]


@dataclasses.dataclass(frozen=True)
class Ended:
    """Result of a process."""

    status: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The last line for the user."""
        return self.err.splitlines()[-1]


class Together:
    """Real processes of one run, on this machine.

    Args:
      commands: command of each, without the flags for distributed runs.
      devices: number of CPU devices of each.
    """

    def __init__(self, commands: list[list[str]], devices: int = 1, **environment: str) -> None:
        environment = {
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} "
            f"--xla_force_host_platform_device_count={devices}",
            **environment,
        }
        # Below the range for outgoing connections, so that none takes the port meanwhile.
        where = f"localhost:{random.SystemRandom().randrange(15_000, 32_000)}"
        self.processes = [
            subprocess.Popen(
                [
                    *(*command, "--distributed=manual", f"--coordinator={where}"),
                    *(f"--num_processes={len(commands)}", f"--process_id={index}"),
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
            for index, command in enumerate(commands)
        ]

    def end(self) -> list[Ended]:
        """Waits for all, and kills those that do not finish."""
        ended, until = [], time.monotonic() + TIME_LIMIT
        try:
            for process in self.processes:
                out, err = process.communicate(timeout=max(until - time.monotonic(), 1))
                ended.append(Ended(process.returncode, out, err))
        finally:
            for process in self.processes:
                process.kill()
                process.communicate()
        return ended

    def wait_for_step(self, workdir: Path, step: int) -> None:
        """Waits until a row of `step` or later is written."""
        until = time.monotonic() + TIME_LIMIT
        while time.monotonic() < until:
            rows = read_rows(workdir / "metrics.jsonl")
            if rows and rows[-1]["step"] >= step:
                return
            if any(process.poll() is not None for process in self.processes):
                break
            time.sleep(0.005)
        raise AssertionError(f"no step {step}: {self.end()}")

    def signal(self, index: int, number: signal.Signals) -> None:
        self.processes[index].send_signal(number)


def run_together(
    commands: list[list[str]], devices: int = 1, *, status: int = 0, **environment: str
) -> list[Ended]:
    """Runs processes until all end with `status`; tries another port if one is taken."""
    for _ in range(3):
        ended = Together(commands, devices, **environment).end()
        if "cannot listen" not in ended[0].err:
            break
    assert [e.status for e in ended] == [status] * len(commands), ended
    return ended
