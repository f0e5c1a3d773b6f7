"""How a process joins the others of a run, and how all of them end: alike, with one line each."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from typing import NoReturn

from seqmodels.config.errors import UserError
from seqmodels.distributed import processes
from seqmodels.distributed.native_output import NativeOutput
from seqmodels.distributed.rendezvous import Meeting

FAILED, _INTERRUPTED = 1, 130
# Who hears of a failure may be about to find the same; process 0, where all meet, goes last.
_GRACE_S, _FAREWELL_S = 0.5, 5.0
_LOST = re.compile(r"gloo|nccl|connection (closed|reset)|socket closed|barrier|heartbeat", re.I)


class _Member:
    """This process, from when it sets out to meet the others."""

    def __init__(self, meeting: Meeting, command: str) -> None:
        self.meeting, self.command = meeting, command
        self.joined = False
        self._telling = threading.Lock()
        self.output = NativeOutput(self._lose)

    @property
    def remedy(self) -> str:
        """What to do where a process is lost."""
        resumes = "; start all of them again: the run goes on from its last checkpoint"
        return resumes if self.command == "train" else ""

    def end(self, status: int, line: str) -> NoReturn:
        """Tells why, once, and ends; process 0 as the last."""
        if not self._telling.acquire(blocking=False):
            time.sleep(2 * _FAREWELL_S)  # another thread does
        self._tell(line)
        group = processes.current()
        with contextlib.suppress(Exception):
            until = time.monotonic() + _FAREWELL_S
            group.put(f"gone/{group.index}", "")
            for other in range(group.count) if group.index == 0 else ():
                group.get(f"gone/{other}", until - time.monotonic())
        os._exit(status)

    def _lose(self, text: str) -> NoReturn:
        """Ends where jax's runtime is about to: there is nobody left to say farewell to."""
        if self._telling.acquire(blocking=False):
            self._tell(self._explain(text))
        else:  # the main thread has seen it too
            time.sleep(_GRACE_S)
        os._exit(FAILED)

    def _explain(self, text: str) -> str:
        """What the runtime means with its last words."""
        meeting, status = self.meeting, " ".join(text.partition("absl::Status: ")[2].split())
        if not self.joined and "DEADLINE_EXCEEDED" in status:
            return (
                f"after {meeting.start_timeout} s not all {meeting.num_processes} processes have "
                f"come to {meeting.coordinator}: each must be started, and reach it"
            )
        if not self.joined:
            return f"the processes cannot meet at {meeting.coordinator}: {status[:160]}"
        if lost := re.search(r"heartbeats\):\s*([\d, /:a-z_]*\d)", status):
            return f"process {lost.group(1)} answers no longer{self.remedy}"
        if meeting.process_id == 0:
            return f"another process is lost{self.remedy}"
        return f"process 0 is gone, or the way to it{self.remedy}"

    def _tell(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"{self.command}: {' '.join(line.split())}\n")
            sys.stderr.flush()
            sys.stdout.flush()


_member: _Member | None = None


def join(meeting: Meeting, command: str) -> None:
    """Meets the other processes; to be called before jax touches a device.

    A process that does not come, and one that is lost later, ends this one with status 1.

    Args:
      command: stands before the line that tells why this process ends.

    Raises:
      UserError: process 0 counts the processes otherwise.
      RunFailure: process 0 cannot listen.
    """
    global _member
    import jax
    from jax._src import distributed

    meeting.check_port()
    # SIGTERM is ours: jax's preemption service would swallow it.
    jax.config.update("jax_enable_preemption_service", False)
    _member = member = _Member(meeting, command)
    _connect(meeting)
    group = processes.Group(
        distributed.global_state.client, meeting.process_id, meeting.num_processes
    )
    processes.set_current(group)
    member.joined = True
    if group.index:  # what one process warns of, all do
        logging.getLogger().setLevel(logging.ERROR)

    def end(failure: str) -> None:
        index, status, line = json.loads(failure)
        if index != group.index:
            time.sleep(_GRACE_S)
            member.end(status, f"process {index}: {line}")

    group.listen("failure", end)
    if (count := group.decide(lambda: group.count)) != group.count:
        raise UserError(f"--num_processes={group.count}: process 0 has {count}")


def _connect(meeting: Meeting) -> None:
    """Calls jax.distributed.initialize, in a thread, so that Ctrl-C comes through."""
    import jax

    errors: list[Exception] = []

    def initialize() -> None:
        try:
            jax.distributed.initialize(
                meeting.coordinator,
                meeting.num_processes,
                meeting.process_id,
                local_device_ids=meeting.local_device_ids,
                cluster_detection_method="deactivate",
                initialization_timeout=meeting.start_timeout,
                heartbeat_timeout_seconds=meeting.heartbeat_timeout,
            )
        except Exception as error:
            errors.append(error)

    with _without_proxies():
        thread = threading.Thread(target=initialize, daemon=True)
        thread.start()
        thread.join()
    for error in errors:
        raise error


@contextlib.contextmanager
def _without_proxies() -> Iterator[None]:
    """Hides the variables of HTTP proxies, which would be asked for the way to process 0."""
    found = {name: os.environ.pop(name) for name in list(os.environ) if "_proxy" in name.lower()}
    try:
        yield
    finally:
        os.environ.update(found)


def has_joined() -> bool:
    """Whether this process is, or is about to be, one of several."""
    return _member is not None


def fail(status: int, line: str) -> NoReturn:
    """Ends all processes with one status: this one with the line, the others with whose it is."""
    assert _member is not None
    group = processes.current()
    with contextlib.suppress(Exception):  # of a service that is gone
        group.put("failure", json.dumps([group.index, status, line]))
    _member.end(status, line)


def lost(error: BaseException) -> str | None:
    """What an exception tells of a lost process, in one line."""
    assert _member is not None
    text = " ".join(re.sub(r"\[external[^]]*\]", "", str(error)).split())
    found = _LOST.search(text) is not None
    return f"another process is lost ({text[-120:]}){_member.remedy}" if found else None


def leave(status: int) -> int:
    """Leaves, once all processes have come to their end; returns the highest of their statuses."""
    global _member
    if _member is None:
        return status
    import jax

    try:
        status = max(processes.exchange(status))
    except KeyboardInterrupt:
        fail(_INTERRUPTED, "interrupted")
    processes.set_current(processes.ALONE)
    with contextlib.suppress(Exception):  # all is done and told
        jax.distributed.shutdown()
    _member.output.restore()
    _member = None
    return status


def describe() -> str:
    """The processes and their devices, in words; empty for one that is alone."""
    import jax

    if _member is None:
        return ""
    meeting = _member.meeting
    return (
        f"processes: {meeting.num_processes}, which met at {meeting.coordinator}; "
        f"devices: {jax.local_device_count()} here, {jax.device_count()} in all"
    )
