"""Filter for the output of native code in one of several processes."""

from __future__ import annotations

import signal
import subprocess
import sys

UNHEALTHY = (
    "E1121 12:57:01.1   21823 coordination_service.cc:1549] [180] UNAVAILABLE: The "
    "following tasks are unhealthy (stopped sending heartbeats):\n"
    "1\n"
    "The tasks have crashed. Check the task logs for an earlier error\n"
)
FATAL = (
    "F1121 12:57:01.512645   21823 client.h:80] Terminating process because the JAX distributed "
    "service detected fatal errors. absl::Status: UNAVAILABLE: one is gone\n"
    "RPC: /PollForError\n*** Check failure stack trace: ***\n    @ 0x7fa2\n"
)


def test_the_runtime_s_log_before_it_aborts_becomes_one_line() -> None:
    code = f"""
import ctypes, os, sys
from seqmodels.distributed.native_output import NativeOutput

def on_fatal(text):
    sys.stderr.write("lost: " + " ".join(text.partition("absl::Status: ")[2].split()))
    sys.stderr.flush()
    os._exit(1)

NativeOutput(on_fatal)
os.write(1, b"[Gloo] Rank [Gloo] Rank 00 is connected to  is connected to 1 peer ranks. 1")
os.write(1, b" peer ranks. Expected number of connected peer ranks is : 1\\n")
os.write(1, b"Expected number of connected peer ranks is : 1\\n1\\n")
os.write(2, b"W1121 12:57:01.5   12 coordination_service.cc:185] hidden\\nRPC: so is this\\n")
os.write(2, {UNHEALTHY!r}.encode())
os.write(2, b"seen\\n")
os.write(2, b"W1121 12:57:01.5   12 spmd_partitioner.cc:630] seen\\n")
print("the answer")
os.write(2, {FATAL!r}.encode())
ctypes.CDLL(None).abort()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stdout == "the answer\n"
    assert done.stderr.splitlines() == [
        "seen",
        "W1121 12:57:01.5   12 spmd_partitioner.cc:630] seen",
        "lost: UNAVAILABLE: one is gone RPC: /PollForError",
    ]


def test_streams_are_restored_after_all_output_is_forwarded() -> None:
    code = """
import os, sys
from seqmodels.distributed.native_output import NativeOutput

output = NativeOutput(print)
assert sys.stdout is not sys.__stdout__
os.write(1, b"native\\n" * 1000)
output.restore()
assert sys.stdout is sys.__stdout__
os.write(1, b"out\\n")
os.write(2, b"err\\n")
os.abort()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (-signal.SIGABRT, "out\n"), done.stderr
    assert done.stderr == "native\n" * 1000 + "err\n"
