"""Start and end of a distributed run: all processes end with the same status and one line each."""

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

from seqmodels.config.errors import UserError, chain
from seqmodels.distributed import processes
from seqmodels.distributed.native_output import NativeOutput
from seqmodels.distributed.rendezvous import Rendezvous

FAILED, _INTERRUPTED = 1, 130
# A process that hears of a failure may be about to find the same one, so it waits for a moment.
# Process 0 exits last because the coordination service runs in it.
_GRACE_S, _SHUTDOWN_S = 0.5, 5.0
_LOST = re.compile(r"gloo|nccl|connection (closed|reset)|socket closed|barrier|heartbeat", re.I)


class _Process:
    """This process, from before it connects to the others until it shuts down."""

    def __init__(self, rendezvous: Rendezvous, command: str) -> None:
        self.rendezvous, self.command = rendezvous, command
        self.joined = False
        self._reported = threading.Lock()
        self.output = NativeOutput(self._end_on_fatal)

    @property
    def remedy(self) -> str:
        """Advice for the user after the loss of a process."""
        resumes = "; start all of them again to resume from the last checkpoint"
        return resumes if self.command == "train" else ""

    def end(self, status: int, line: str) -> NoReturn:
        """Reports the cause once and exits; process 0 exits last."""
        if not self._reported.acquire(blocking=False):
            time.sleep(2 * _SHUTDOWN_S)  # another thread reports it and exits
        self._report(line)
        group = processes.current()
        with contextlib.suppress(Exception):
            until = time.monotonic() + _SHUTDOWN_S
            group.put(f"gone/{group.index}", "")
            for other in range(group.count) if group.index == 0 else ():
                group.get(f"gone/{other}", until - time.monotonic())
        os._exit(status)

    def _end_on_fatal(self, text: str) -> NoReturn:
        """Reports a fatal error of jax's runtime and exits before the runtime aborts."""
        if self._reported.acquire(blocking=False):
            self._report(self._explain(text))
        else:  # the main thread is reporting it
            time.sleep(_GRACE_S)
        os._exit(FAILED)

    def _explain(self, text: str) -> str:
        """Cause of a fatal error of the runtime, in one line."""
        rendezvous = self.rendezvous
        status = " ".join(text.partition("absl::Status: ")[2].split())
        if not self.joined and "DEADLINE_EXCEEDED" in status:
            return (
                f"not all {rendezvous.num_processes} processes connected to "
                f"{rendezvous.coordinator} within {rendezvous.start_timeout} s: check that each is "
                "running and can reach it"
            )
        if not self.joined:
            return f"cannot connect to the coordinator {rendezvous.coordinator}: {status[:160]}"
        if lost := re.search(r"heartbeats\):\s*([\d, /:a-z_]*\d)", status):
            return f"process {lost.group(1)} no longer responds{self.remedy}"
        if rendezvous.process_id == 0:
            return f"another process is lost{self.remedy}"
        return f"process 0 is gone or cannot be reached{self.remedy}"

    def _report(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"{self.command}: {' '.join(line.split())}\n")
            sys.stderr.flush()
            sys.stdout.flush()


_process: _Process | None = None


def start(rendezvous: Rendezvous, command: str) -> None:
    """Connects to the other processes. Must be called before jax touches a device.

    If a process does not connect, or is lost later, this one exits with status 1.

    Args:
      command: name of the command, the prefix of the line that reports why this process ends.

    Raises:
      UserError: process 0 was started with another number of processes.
      RunFailure: process 0 cannot listen on its port.
    """
    global _process
    import jax
    from jax._src import distributed

    rendezvous.check_port()
    # SIGTERM is ours: jax's preemption service would swallow it.
    jax.config.update("jax_enable_preemption_service", False)
    _process = process = _Process(rendezvous, command)
    _connect(rendezvous)
    group = processes.Group(
        distributed.global_state.client, rendezvous.process_id, rendezvous.num_processes
    )
    processes.set_current(group)
    process.joined = True
    if group.index:  # all processes have the same warnings; process 0 shows them
        logging.getLogger().setLevel(logging.ERROR)

    def end(failure: str) -> None:
        index, status, line = json.loads(failure)
        if index != group.index:
            time.sleep(_GRACE_S)
            process.end(status, f"process {index}: {line}")

    group.listen("failure", end)
    if (count := group.decide(lambda: group.count)) != group.count:
        raise UserError(f"--num_processes={group.count}: process 0 has {count}")


def _connect(rendezvous: Rendezvous) -> None:
    """Calls jax.distributed.initialize in a thread, so that Ctrl-C works meanwhile."""
    import jax

    errors: list[Exception] = []

    def initialize() -> None:
        try:
            jax.distributed.initialize(
                rendezvous.coordinator,
                rendezvous.num_processes,
                rendezvous.process_id,
                local_device_ids=rendezvous.local_device_ids,
                cluster_detection_method="deactivate",
                initialization_timeout=rendezvous.start_timeout,
                heartbeat_timeout_seconds=rendezvous.heartbeat_timeout,
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
    """Hides the HTTP proxy variables, through which gRPC would try to reach process 0."""
    found = {name: os.environ.pop(name) for name in list(os.environ) if "_proxy" in name.lower()}
    try:
        yield
    finally:
        os.environ.update(found)


def is_distributed() -> bool:
    """Whether this process is, or is about to be, one of several in a run."""
    return _process is not None


def fail(status: int, line: str) -> NoReturn:
    """Ends all processes with one status; the others also print which process failed."""
    assert _process is not None
    group = processes.current()
    with contextlib.suppress(Exception):  # the service may be gone
        group.put("failure", json.dumps([group.index, status, line]))
    _process.end(status, line)


def describe_lost_process(error: BaseException) -> str | None:
    """One line that reports a lost process, or None if the exception has another cause.

    Looks through its causes too: a save that waits for the other processes in a thread ends with
    an error of its own, whose cause is the lost connection.
    """
    assert _process is not None
    for this in chain(error):
        text = " ".join(re.sub(r"\[external[^]]*\]", "", str(this)).split())
        if _LOST.search(text):
            return f"another process is lost ({text[-120:]}){_process.remedy}"
    return None


def shut_down(status: int) -> int:
    """Waits for all processes to end, disconnects, and returns the highest exit status."""
    global _process
    if _process is None:
        return status
    import jax

    try:
        status = max(processes.exchange(status))
    except KeyboardInterrupt:
        fail(_INTERRUPTED, "interrupted")
    processes.set_current(processes.ALONE)
    with contextlib.suppress(Exception):  # the work is done and reported
        jax.distributed.shutdown()
    _process.output.restore()
    _process = None
    return status


def describe() -> str:
    """Describes the processes and their devices; empty for a single process."""
    import jax

    if _process is None:
        return ""
    rendezvous = _process.rendezvous
    return (
        f"processes: {rendezvous.num_processes}, coordinated at {rendezvous.coordinator}; "
        f"devices: {jax.local_device_count()} local, {jax.device_count()} in all"
    )
