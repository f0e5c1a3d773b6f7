"""The most memory that a piece of work needs, of an accelerator or of the process."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from pathlib import Path

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """The growth of the memory since it was made, at its highest.

    On an accelerator: what the allocator of jax or torch counts. On a CPU: resident memory as Linux
    counts it, whose high-water mark is reset here; elsewhere unknown. The C library gives back what
    earlier work has freed, so that it is counted again.
    """

    def __init__(self) -> None:
        with contextlib.suppress(
            OSError, AttributeError
        ):  # other C libraries have no such function
            ctypes.CDLL(None).malloc_trim(0)
        with contextlib.suppress(OSError):
            _RESET.write_text("5")
        self._before = _resident("VmRSS")
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def read(self) -> int | None:
        """Bytes; None if unknown."""
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            return int(torch.cuda.max_memory_allocated())
        if jax := sys.modules.get("jax"):
            device = jax.devices()[0]
            if device.platform != "cpu":
                # Jax's peak is that of the process: the largest program so far.
                return (device.memory_stats() or {}).get("peak_bytes_in_use")
        peak = _resident("VmHWM")
        return None if peak is None or self._before is None else max(peak - self._before, 0)


def _resident(field: str) -> int | None:
    """A field of this process's status, in bytes."""
    with contextlib.suppress(OSError):
        for line in _STATUS.read_text().split("\n"):
            if line.startswith(f"{field}:"):
                return 1024 * int(line.split()[1])
    return None
