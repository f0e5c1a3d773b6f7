"""Commands that run at the same time, each in a process with its share of the cores."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from experiments import program
from seqmodels.sweeps.local import Stop, job_environment

LOG = "log.txt"
_LOOK_S = 0.2


def run_side_by_side(commands: Mapping[Path, Sequence[str]], parallel: int) -> int:
    """Runs commands, at most `parallel` at a time; after one that fails no further one begins.

    On a signal the processes are asked to end, as `launch.py` ends, and a second Ctrl-C kills them.

    Args:
      commands: by the folder that gets what the process prints, as `log.txt`.

    Returns:
      The exit status: 0, that of the first that failed, or 128 and the number of the signal.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    parallel = min(parallel, len(commands), len(cores) or parallel)
    running: dict[int, tuple[Path, subprocess.Popen[bytes]]] = {}
    waiting, status, stop, signalled = list(commands), 0, Stop(), False
    started = time.monotonic()
    try:
        with stop.listening():
            while running or (waiting and not status and stop.signal is None):
                free = [slot for slot in range(parallel) if slot not in running]
                if free and waiting and not status and stop.signal is None:
                    folder = waiting.pop(0)
                    running[free[0]] = folder, _start(folder, commands[folder])
                    if cores:
                        os.sched_setaffinity(running[free[0]][1].pid, cores[free[0] :: parallel])
                    program.say(f"{folder.name}: started, {folder / LOG}")
                    continue
                if stop.signal is not None and not signalled:
                    signalled = True
                    program.say("stopping: the processes end")
                    _end(running)
                if stop.kills:
                    _end(running, kill=True)
                time.sleep(_LOOK_S)
                for slot, (folder, process) in list(running.items()):
                    if process.poll() is None:
                        continue
                    del running[slot]
                    code = process.returncode if process.returncode >= 0 else program.FAILED
                    status = status or code
                    done = len(commands) - len(waiting) - len(running)
                    if code:
                        program.say(f"{folder.name}: ended with status {code}, {folder / LOG}")
                        continue
                    each = (time.monotonic() - started) / done
                    left = timedelta(seconds=round(each * (len(commands) - done)))
                    program.say(f"{folder.name}: {done} of {len(commands)} done, {left} left")
    finally:
        _end(running)
        for _, process in running.values():
            process.wait()
    return 128 + stop.signal if stop.signal is not None else status


def _start(folder: Path, command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Starts a command in a session of its own, which Ctrl-C does not reach."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=job_environment(),
            start_new_session=True,
        )


def _end(running: Mapping[int, tuple[Path, subprocess.Popen[bytes]]], kill: bool = False) -> None:
    for _, process in running.values():
        if kill:
            process.kill()
        else:
            process.terminate()
