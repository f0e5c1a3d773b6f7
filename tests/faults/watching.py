"""Helpers to start, observe and disturb real commands under `program.py`."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.training.runs import ROOT, Setting

PROGRAM = Path(__file__).with_name("program.py")
# Order in which one of several simultaneous phases is chosen to count a kill.
ORDER = ("preparation", "saving", "evaluation", "steps")
START_UP = "start-up"


@dataclasses.dataclass(frozen=True)
class Watched:
    """A process that reports its phases."""

    process: subprocess.Popen[str]
    file: Path

    def told(self) -> dict[str, Any]:
        """`active`, its current (or last) phases, and `entered`, how often it entered each."""
        if not self.file.exists():
            return {"active": [], "entered": {}}
        with self.file.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)  # else a write of the same moment is read by half
            content = file.read()
        return json.loads(content) if content else {"active": [], "entered": {}}

    def phase(self) -> str:
        active = self.told()["active"]
        return next((name for name in ORDER if name in active), START_UP)

    def wait_for(self, phase: str, times: int = 1) -> None:
        """Waits until the process enters a phase for the n-th time."""
        deadline = time.monotonic() + 200
        while self.told()["entered"].get(phase, 0) < times:
            ended = self.process.poll()
            assert ended is None, f"ended ({ended}) before {phase}: {self.end()[1][-2000:]}"
            assert time.monotonic() < deadline, f"never reached {phase}"
            time.sleep(0.002)

    def wait_for_line(self, text: str) -> None:
        """Reads stderr up to a line with `text`."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if text in line:
                return
        raise AssertionError(f"ended without {text!r}")

    def end(self) -> tuple[int, str]:
        """Waits for its end; returns the exit status and stderr."""
        _, errors = self.process.communicate(timeout=200)
        return self.process.returncode, errors


def start(
    command: list[str],
    folder: Path,
    *,
    slow: str = "",
    nan: int | None = None,
    prefix: tuple[str, ...] = (),
) -> Watched:
    """Starts a command of `Setting.command`.

    Args:
      folder: directory for the file of its phases.
      slow, nan: see `program.py`.
      prefix: words before it on the command line.
    """
    file = folder / "phases.json"
    file.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(ROOT),
        "FAULTS_PHASES": str(file),
        "FAULTS_SLOW": slow,
        **({} if nan is None else {"FAULTS_NAN": str(nan)}),
    }
    process = subprocess.Popen(
        [*prefix, sys.executable, str(PROGRAM), *command[2:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    return Watched(process, file)


def prepare_command(setting: Setting) -> list[str]:
    """The command `prepare` for the data of `setting.command`."""
    words = [w for w in setting.command(Path("x")) if not w.startswith("--workdir")]
    return ["prepare" if word == "train" else word for word in words]


def complaint(errors: str) -> str:
    """The line in which a command says why it failed; checks that there is no traceback."""
    assert "Traceback" not in errors, errors
    lines = errors.strip().splitlines()
    (told,) = [line for line in lines if line.split(": ")[0] in ("train", "prepare", "evaluate")]
    assert told == lines[-1], errors
    return told
