"""Settings of the C library's memory allocator."""

from __future__ import annotations

import ctypes
import os
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8  # of malloc.h
_LARGEST = 2**31 - 1
_PAD = 64 << 20


def keep_freed_memory() -> bool:
    """Lets glibc keep freed memory for the next allocation. Call it before jax is imported.

    By default, glibc asks the kernel for each large buffer and gives it back when it is freed. XLA
    frees its temporary buffers after every call of a program, so on a CPU each training step would
    begin with new pages, which the kernel fills with zeros: 20 to 30 % of a step. All threads share
    one heap, because glibc bounds the size of further ones.

    Nothing changes where the environment already sets `MALLOC_ARENA_MAX`, another `MALLOC_..` or
    `GLIBC_TUNABLES`, with another allocator, or with another C library.

    Returns:
      Whether the settings were taken.
    """
    if sys.platform != "linux" or any(
        name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ
    ):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    settings = {
        _ARENA_MAX: 1,
        _MMAP_THRESHOLD: _LARGEST,
        _TRIM_THRESHOLD: _LARGEST,
        _TOP_PAD: _PAD,
    }
    return all(library.mallopt(name, value) == 1 for name, value in settings.items())
