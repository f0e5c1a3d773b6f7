"""A stop request that reaches any of several processes and stops all at the same step."""

from __future__ import annotations

import threading

from seqmodels.distributed import processes
from seqmodels.distributed.processes import Group
from seqmodels.distributed.signals import StopRequest


class SharedStopRequest(StopRequest):
    """A possible request to any of the processes to stop.

    The process that got the signal announces it. Each process answers with the next step at which
    it can stop, and all stop at the highest answer. A thread answers because the main thread may
    be waiting in a collective operation for a process that waits for the answer.

    Args:
      step: the last step before the run starts or resumes.
      stride: steps from one call of `due` to the next.
    """

    def __init__(self, group: Group, step: int, stride: int) -> None:
        super().__init__()
        self._group, self._last, self._stride = group, step, stride
        self._lock = threading.Lock()
        self._agreed: int | None = None
        self._asked = False
        self._stop_at: int | None = None
        group.listen("stop", self._answer)

    def _answer(self, signal: str) -> None:
        with self._lock:
            self._agreed = int(signal)
            self._group.put(f"stop/{self._group.index}", str(self._last + self._stride))

    @property
    def exit_status(self) -> int:
        """Status of the signal that came first, in every process."""
        return 0 if self._agreed is None else 128 + self._agreed

    def due(self, step: int) -> bool:
        """Whether all processes stop after `step`, which this process has done."""
        if self.signal is not None and not self._asked:
            self._asked = True
            self._group.put("stop", str(self.signal))
        with self._lock:
            self._last, asked = step, self._agreed is not None
        if asked and self._stop_at is None:
            answers = (self._group.get(f"stop/{i}") for i in range(self._group.count))
            self._stop_at = max(map(int, answers))
        return self._stop_at is not None and step >= self._stop_at

    def finish(self) -> None:
        """Agrees on the exit status, so that a signal too late for a stop still counts for all."""
        self._agreed = max(self._group.exchange(self._agreed or self.signal or 0)) or None


def make_stop_request(step: int, stride: int) -> StopRequest:
    """Makes a request for one process, or one that several processes share."""
    group = processes.current()
    return StopRequest() if group.count == 1 else SharedStopRequest(group, step, stride)
