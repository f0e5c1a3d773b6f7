"""Memory that glibc keeps for the next step."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, resource
from seqmodels.allocator import keep_freed_memory

kept = keep_freed_memory()
library, size = ctypes.CDLL(None), 32 << 20
library.malloc.restype = ctypes.c_void_p
library.free.argtypes = [ctypes.c_void_p]

def use():
    place = library.malloc(ctypes.c_size_t(size))
    ctypes.memset(place, 1, size)
    library.free(place)

use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    use()
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_memory_needs_no_new_pages_unless_the_environment_has_settings() -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    clean.pop("GLIBC_TUNABLES", None)
    faults = {}
    for kept, environment in {"True": {}, "False": {"MALLOC_TOP_PAD_": "131072"}}.items():
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**clean, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        said, faults[kept] = done.stdout.split()
        assert said == kept
    # New pages of 2 MB would be 16 for each use.
    assert int(faults["True"]) < 16 <= int(faults["False"]) // 8
