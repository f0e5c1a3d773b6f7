"""How a process of several ends: one line, which says what happened and what to do."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import pytest

from seqmodels.distributed import lifecycle as membership
from seqmodels.distributed.rendezvous import Meeting
from tests.distributed.together import as_process

RESUME = "start all of them again: the run goes on from its last checkpoint"
UNHEALTHY = (
    "absl::Status: UNAVAILABLE: The following tasks are unhealthy (stopped sending heartbeats):\n"
    "1\nThe tasks have crashed. Check the task logs for an earlier error"
)


class Output:
    """Stands for the pipe that a real member lays over this process's descriptors."""

    def __init__(self, on_fatal: Any) -> None:
        pass


class Ended(Exception):
    pass


@pytest.fixture
def make_member(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes this process a member, whose end is an exception with the exit status."""

    def end(status: int) -> NoReturn:
        raise Ended(status)

    def make(process_id: int, command: str = "train", joined: bool = True) -> Any:
        monkeypatch.setattr(membership, "NativeOutput", Output)
        monkeypatch.setattr(membership, "_FAREWELL_S", 0.05)
        monkeypatch.setattr(membership.os, "_exit", end)
        member = membership._Member(Meeting("here:29400", 2, process_id, 4, 10), command)
        member.joined = joined
        monkeypatch.setattr(membership, "_member", member)
        return member

    return make


@pytest.mark.parametrize(
    ("process_id", "joined", "said", "told"),
    [
        (0, True, UNHEALTHY, f"process 1 answers no longer; {RESUME}"),
        (0, True, "absl::Status: UNAVAILABLE: x", f"another process is lost; {RESUME}"),
        (1, True, "absl::Status: UNAVAILABLE: x", f"process 0 is gone, or the way to it; {RESUME}"),
        (
            *(0, False, "absl::Status: DEADLINE_EXCEEDED: Barrier timed out."),
            "after 4 s not all 2 processes have come to here:29400: each must be started, and "
            "reach it",
        ),
        (
            *(1, False, "absl::Status: ABORTED: restarted\n too often"),
            "the processes cannot meet at here:29400: ABORTED: restarted too often",
        ),
    ],
)
def test_the_runtime_s_last_words_become_one_line(
    make_member: Any,
    capsys: pytest.CaptureFixture[str],
    process_id: int,
    joined: bool,
    said: str,
    told: str,
) -> None:
    member = make_member(process_id, joined=joined)
    with pytest.raises(Ended, match="1"):
        member._lose(f"service detected fatal errors. {said}")
    assert capsys.readouterr() == ("", f"train: {told}\n")


def test_only_training_may_be_taken_up_again(
    make_member: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Ended):
        make_member(0, "evaluate")._lose(UNHEALTHY)
    assert capsys.readouterr().err == "evaluate: process 1 answers no longer\n"


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
def test_what_only_a_lost_process_can_cause_is_known(
    make_member: Any, text: str, found: bool
) -> None:
    make_member(1)
    line = membership.lost(ValueError(text))
    assert (line is not None) is found
    if line is not None:
        assert line.startswith("another process is lost (") and line.endswith(f"); {RESUME}")
        assert "external" not in line


@pytest.mark.parametrize("index", [0, 1])
def test_who_fails_tells_the_others_and_ends(
    make_member: Any, capsys: pytest.CaptureFixture[str], index: int
) -> None:
    make_member(index)
    with as_process(index, 2) as store, pytest.raises(Ended, match="2"):
        membership.fail(2, "data.path=x:\n no such file")
    assert json.loads(store.values["failure"]) == [index, 2, "data.path=x:\n no such file"]
    assert f"gone/{index}" in store.values
    assert capsys.readouterr().err == "train: data.path=x: no such file\n"


def test_the_first_failure_is_the_one_that_counts(
    make_member: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    make_member(1)
    first = json.dumps([0, 2, "the first"])
    with as_process(1, 2, failure=first) as store, pytest.raises(Ended, match="1"):
        membership.fail(1, "the second")
    assert store.values["failure"] == first
    assert capsys.readouterr().err == "train: the second\n"
