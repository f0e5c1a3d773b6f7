"""The side of the benchmark that starts processes and times them in turn. Imports no jax."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.benchmark import timing
from seqmodels.config.errors import RunFailure

ROOT = Path(__file__).parents[2]
_OF_RUNS = ("first_ms", "peak_bytes")
PAUSE = 0.01
"""Seconds between two turns, in which the threads of the last one fall asleep."""


class Missing(Exception):
    """A library that is not installed."""


class Failed(Exception):
    """A program that cannot be prepared or run."""


@dataclasses.dataclass(frozen=True)
class Effort:
    """How long a case is timed.

    Attributes:
      slice_seconds: of one turn of one implementation, at least one run.
      max_rounds: the most turns of each; fewer if the intervals are tight before.
      max_seconds: no round begins later than this.
    """

    slice_seconds: float
    max_rounds: int
    max_seconds: float


class Process:
    """A worker (`benchmark.worker`), which inherits cores, allocator and flags.

    Args:
      more: environment variables in addition.
    """

    def __init__(self, more: Mapping[str, str] | None = None) -> None:
        path = os.pathsep.join(_search_path())
        environment = {**os.environ, "PYTHONPATH": path, **(more or {})}
        # What a program of this library keeps on disk must not make it look faster.
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "seqmodels.benchmark.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def ask(self, do: str, **arguments: Any) -> Any:
        """Asks for a method of `Worker`.

        Raises:
          Missing: it needs a library that is not installed.
          Failed: it failed, or the process died.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise Failed(f"the process died with status {self._process.wait()}")
        answer = json.loads(line)
        if "missing" in answer:
            raise Missing(answer["missing"])
        if "failed" in answer:
            raise Failed(answer["failed"])
        return answer["done"]

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """Ends the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _search_path() -> list[str]:
    before = os.environ.get("PYTHONPATH", "")
    return [str(ROOT), *([before] if before else [])]


class Pool:
    """Processes by key, started when first needed."""

    def __init__(self) -> None:
        self._processes: dict[Any, Process] = {}
        self.folder = tempfile.TemporaryDirectory(prefix="benchmark-")

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.close()
        self.folder.cleanup()

    def get(self, key: Any) -> Process:
        """The process of a key, a new one if it died."""
        if key not in self._processes or not self._processes[key].is_alive:
            self._processes[key] = Process()
        return self._processes[key]

    def call(self, suite: str, params: dict[str, Any], seed: int) -> dict[str, Any]:
        """Facts of a program of this library that is run, not timed.

        Its process ends, because memory that was used and freed changes the speed of later runs.

        Raises:
          RunFailure: it fails.
        """
        arguments = {"library": "seqmodels", "suite": suite, "params": params, "seed": seed}
        process = Process()
        try:
            found = process.ask("prepare", **arguments, to=f"{self.folder.name}/facts.npz")
            return {name: fact for name, fact in found.items() if name not in _OF_RUNS}
        except (Missing, Failed) as problem:
            raise RunFailure(f"{suite}: {problem}") from None
        finally:
            process.close()


def take_turns(processes: Sequence[Process], effort: Effort) -> list[list[float]]:
    """Times prepared programs: one list of seconds for each process, one number per round.

    Each round begins with another process, so that none always follows the same one.
    """
    series: list[list[float]] = [[] for _ in processes]
    until = time.monotonic() + effort.max_seconds
    for count in range(effort.max_rounds):
        if count >= timing.MIN_ROUNDS and time.monotonic() > until:
            break
        for place in range(len(processes)):
            turn = (count + place) % len(processes)
            time.sleep(PAUSE)
            process, taken = processes[turn], series[turn]
            taken.append(statistics.median(process.ask("run", seconds=effort.slice_seconds)))
        if timing.enough(series):
            break
    return series


def difference(first: Path, second: Path) -> float:
    """The largest difference of two files of outputs, relative to the largest value of each array;
    infinite where the arrays do not pair up or are not finite."""
    with np.load(first) as ours, np.load(second) as theirs:
        if [ours[k].shape for k in ours] != [theirs[k].shape for k in theirs]:
            return float("inf")
        found = [_relative(ours[key], theirs[key]) for key in ours]
    return max(found, default=0.0)


def _relative(a: np.ndarray, b: np.ndarray) -> float:
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("inf")
    largest = max(float(np.abs(b).max(initial=0.0)), 1e-30)
    return float(np.abs(a.astype(np.float64) - b).max(initial=0.0)) / largest
