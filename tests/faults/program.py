"""`launch.py` under observation: reports its phases, may slow them down, and may feed a NaN.

A phase is a period that a kill can interrupt: `preparation` (writing the cache), `steps`,
`evaluation`, `saving` (writing a checkpoint in the background, until it is sealed), `changing`
(of the config of a run that resumes). Environment:

    FAULTS_PHASES   file that records the phases and outlives the process
    FAULTS_SLOW     phase=seconds,...: sleeps at every batch, or whenever a file is created, renamed
                    or removed
    FAULTS_NAN      step whose batch has a loss weight that is NaN
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import launch
from experiments import program
from seqmodels.data import store, text
from seqmodels.evaluation.evaluate import Evaluator
from seqmodels.runs.checkpoints import Checkpoints
from seqmodels.training import loop

WIDTH = 256  # of the file: a single write, so that a kill never leaves a part of it
# Directories in which a phase creates files.
PLACES = {"preparation": "/tokens/", "saving": "/checkpoints/", "changing": "/"}
EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir")


class Phases:
    """The current phases of the process, and how often each was entered."""

    def __init__(self, path: Path, slow: dict[str, float]) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)
        self._slow, self._lock = slow, threading.Lock()
        self._active: list[str] = []
        self._entered: dict[str, int] = {}
        self._tell()

    def enter(self, name: str) -> None:
        with self._lock:
            self._active.append(name)
            self._entered[name] = self._entered.get(name, 0) + 1
            self._tell()

    def leave(self, name: str) -> None:
        with self._lock:
            self._active.remove(name)
            self._tell()

    @contextlib.contextmanager
    def inside(self, name: str) -> Iterator[None]:
        self.enter(name)
        try:
            yield
        finally:
            self.leave(name)

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def watched(*arguments: Any, **keywords: Any) -> Any:
            with self.inside(name):
                return function(*arguments, **keywords)

        return watched

    def sleep(self, name: str) -> None:
        if name in self._slow and name in self._active:
            in_background = threading.current_thread() is not threading.main_thread()
            # The main thread begins a save, and is interrupted while another thread continues it.
            brief = name == "saving" and not in_background
            time.sleep(min(self._slow[name], 0.05) if brief else self._slow[name])

    def _tell(self) -> None:
        told = json.dumps({"active": self._active, "entered": self._entered})
        fcntl.flock(self._file, fcntl.LOCK_EX)
        os.pwrite(self._file, told.ljust(WIDTH).encode(), 0)
        fcntl.flock(self._file, fcntl.LOCK_UN)


def watch(phases: Phases) -> None:
    """Wraps the functions that make up the phases."""
    set_up = program._set_up_logging

    def start() -> None:
        # Ctrl-C is handled from here on; launch.py gets here before it loads jax, unlike this.
        set_up()
        phases.enter("start")

    program._set_up_logging = start
    store._write = phases.around("preparation", store._write)
    loop.Trainer.train = phases.around("steps", loop.Trainer.train)
    Evaluator.__call__ = phases.around("evaluation", Evaluator.__call__)
    loop.change = phases.around("changing", loop.change)
    run, feed, save = Evaluator._run, loop.Feed.__call__, Checkpoints._save

    def slow_run(self: Evaluator, *arguments: Any) -> Iterator[Any]:
        for metrics in run(self, *arguments):
            phases.sleep("evaluation")
            yield metrics

    def slow_feed(self: loop.Feed, step: int) -> Any:
        phases.sleep("steps")
        with phases.inside("feeding"):
            phases.sleep("feeding")
            return feed(self, step)

    def watched_save(self: Checkpoints, *arguments: Any) -> None:
        self.wait()
        phases.enter("saving")
        save(self, *arguments)
        assert self._sealing is not None
        self._sealing.add_done_callback(lambda _: phases.leave("saving"))

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        if event in EVENTS and (event != "open" or arguments[1] not in ("r", "rb", None)):
            for name, place in PLACES.items():
                if place in str(arguments[0]):
                    phases.sleep(name)

    Evaluator._run, loop.Feed.__call__, Checkpoints._save = slow_run, slow_feed, watched_save
    sys.addaudithook(on_event)


def poison(at: int) -> None:
    """Sets a loss weight of one step's batch to NaN."""
    batches = text.TextData.batches

    def poisoned(self: text.TextData, *arguments: Any) -> Any:
        source = batches(self, *arguments)
        batch = source.batch

        def bad(step: int, *rows: Any) -> Any:
            made = batch(step, *rows)
            if step == at:
                made.loss_weights[0, 0] = np.nan
            return made

        source.batch = bad
        return source

    text.TextData.batches = poisoned


if __name__ == "__main__":
    # The suite may ignore Ctrl-C, as it does in the background of a shell.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    slow = (part.split("=") for part in os.environ.get("FAULTS_SLOW", "").split(",") if part)
    phases = Phases(Path(os.environ["FAULTS_PHASES"]), {name: float(s) for name, s in slow})
    watch(phases)
    if "FAULTS_NAN" in os.environ:
        poison(int(os.environ["FAULTS_NAN"]))
    sys.argv[0] = launch.__file__
    runpy.run_path(launch.__file__, run_name="__main__")
