"""Commands side by side: their cores, their logs, failures and signals."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from experiments.side_by_side import LOG, run_side_by_side


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_each_has_its_share_of_the_cores_and_a_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cores = sorted(os.sched_getaffinity(0))
    show = "import os, sys, time; time.sleep(.3); print(sorted(os.sched_getaffinity(0)), file=sys."
    commands = {tmp_path / name: python(f"{show}stderr)") for name in "abc"}
    assert run_side_by_side(commands, 64) == 0
    shares = [eval((folder / LOG).read_text()) for folder in commands]
    count = min(len(cores), 3)
    assert {tuple(share) for share in shares} == {tuple(cores[n::count]) for n in range(count)}
    assert "3 of 3 done, 0:00:00 left" in capfd.readouterr().err


def test_after_a_failure_no_further_command_begins(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    commands = {tmp_path / "a": python("raise SystemExit(3)"), tmp_path / "b": python("")}
    assert run_side_by_side(commands, 1) == 3
    assert not (tmp_path / "b").exists()
    assert f"a: ended with status 3, {tmp_path / 'a' / LOG}" in capfd.readouterr().err
    killed = python("import os; os.kill(os.getpid(), 9)")
    assert run_side_by_side({tmp_path / "c": killed}, 1) == 1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_all(tmp_path: Path, number: int, status: int) -> None:
    ready = tmp_path / "ready"
    wait = f"import pathlib, time; pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"

    def interrupt() -> None:
        while not ready.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    threading.Thread(target=interrupt, daemon=True).start()
    started = time.monotonic()
    commands = {tmp_path / "a": python(wait), tmp_path / "b": python("")}
    assert run_side_by_side(commands, 1) == status
    assert time.monotonic() - started < 50
    assert not (tmp_path / "b").exists()


def test_no_process_is_left_when_this_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pid"
    wait = f"import os, pathlib; pathlib.Path({str(file)!r}).write_text(str(os.getpid()))"

    def fail(line: str) -> None:
        while not file.exists() or not file.read_text():
            time.sleep(0.02)
        raise BrokenPipeError(line)

    monkeypatch.setattr("experiments.program.say", fail)
    with pytest.raises(BrokenPipeError):
        run_side_by_side({tmp_path / "a": python(f"{wait}; import time; time.sleep(60)")}, 1)
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)
