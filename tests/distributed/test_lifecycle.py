"""End of one of several processes: one line that says what happened and what to do."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import pytest

from seqmodels.distributed import lifecycle
from seqmodels.distributed.rendezvous import Rendezvous
from tests.distributed.together import as_process

RESUME = "start all of them again to resume from the last checkpoint"
UNHEALTHY = (
    "absl::Status: UNAVAILABLE: The following tasks are unhealthy (stopped sending heartbeats):\n"
    "1\nThe tasks have crashed. Check the task logs for an earlier error"
)


class Output:
    """Replaces the filter of native output, which would redirect this process's descriptors."""

    def __init__(self, on_fatal: Any) -> None:
        pass


class Ended(Exception):
    pass


@pytest.fixture
def make_process(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes this process one of two; its exit is an exception with the exit status."""

    def end(status: int) -> NoReturn:
        raise Ended(status)

    def make(process_id: int, command: str = "train", joined: bool = True) -> Any:
        monkeypatch.setattr(lifecycle, "NativeOutput", Output)
        monkeypatch.setattr(lifecycle, "_SHUTDOWN_S", 0.05)
        monkeypatch.setattr(lifecycle.os, "_exit", end)
        process = lifecycle._Process(Rendezvous("here:29400", 2, process_id, 4, 10), command)
        process.joined = joined
        monkeypatch.setattr(lifecycle, "_process", process)
        return process

    return make


@pytest.mark.parametrize(
    ("process_id", "joined", "said", "told"),
    [
        (0, True, UNHEALTHY, f"process 1 no longer responds; {RESUME}"),
        (0, True, "absl::Status: UNAVAILABLE: x", f"another process is lost; {RESUME}"),
        (
            1,
            True,
            "absl::Status: UNAVAILABLE: x",
            f"process 0 is gone or cannot be reached; {RESUME}",
        ),
        (
            *(0, False, "absl::Status: DEADLINE_EXCEEDED: Barrier timed out."),
            "not all 2 processes connected to here:29400 within 4 s: check that each is running "
            "and can reach it",
        ),
        (
            *(1, False, "absl::Status: ABORTED: restarted\n too often"),
            "cannot connect to the coordinator here:29400: ABORTED: restarted too often",
        ),
    ],
)
def test_a_fatal_error_of_the_runtime_becomes_one_line(
    make_process: Any,
    capsys: pytest.CaptureFixture[str],
    process_id: int,
    joined: bool,
    said: str,
    told: str,
) -> None:
    process = make_process(process_id, joined=joined)
    with pytest.raises(Ended, match="1"):
        process._end_on_fatal(f"service detected fatal errors. {said}")
    assert capsys.readouterr() == ("", f"train: {told}\n")


def test_only_training_is_told_how_to_resume(
    make_process: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Ended):
        make_process(0, "evaluate")._end_on_fatal(UNHEALTHY)
    assert capsys.readouterr().err == "evaluate: process 1 no longer responds\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FAILED_PRECONDITION: Gloo all-reduce failed: Connection closed by peer [::1]:37", True),
        ("UNKNOWN: [external/gloo/gloo/transport/tcp/pair.cc:5] Read error: Socket closed", True),
        ("Barrier timed out. Id: seqmodels:3", True),
        ("RESOURCE_EXHAUSTED: Out of memory allocating 64 bytes", False),
        ("No space left on device", False),
    ],
)
def test_errors_of_a_lost_process_are_recognised(make_process: Any, text: str, found: bool) -> None:
    make_process(1)
    line = lifecycle.describe_lost_process(ValueError(text))
    assert (line is not None) is found
    if line is not None:
        assert line.startswith("another process is lost (") and line.endswith(f"); {RESUME}")
        assert "external" not in line


def test_a_lost_process_is_recognised_as_the_cause_of_a_failed_save(make_process: Any) -> None:
    """What orbax raised when another process was killed between two parts of a save."""
    make_process(0)
    error = TimeoutError("ChainedFuture completed 4/6 futures but timed out after 26.08 seconds.")
    assert lifecycle.describe_lost_process(error) is None
    error.__cause__ = TimeoutError(
        "Timeout waiting at barrier '3.params'. Task 1 heartbeat timeout"
    )
    line = lifecycle.describe_lost_process(error)
    assert line is not None and "Task 1 heartbeat timeout" in line and line.endswith(RESUME)


@pytest.mark.parametrize("index", [0, 1])
def test_a_process_that_fails_announces_it_and_ends(
    make_process: Any, capsys: pytest.CaptureFixture[str], index: int
) -> None:
    make_process(index)
    with as_process(index, 2) as store, pytest.raises(Ended, match="2"):
        lifecycle.fail(2, "data.path=x:\n no such file")
    assert json.loads(store.values["failure"]) == [index, 2, "data.path=x:\n no such file"]
    assert f"gone/{index}" in store.values
    assert capsys.readouterr().err == "train: data.path=x: no such file\n"


def test_the_first_failure_counts(make_process: Any, capsys: pytest.CaptureFixture[str]) -> None:
    make_process(1)
    first = json.dumps([0, 2, "the first"])
    with as_process(1, 2, failure=first) as store, pytest.raises(Ended, match="1"):
        lifecycle.fail(1, "the second")
    assert store.values["failure"] == first
    assert capsys.readouterr().err == "train: the second\n"
