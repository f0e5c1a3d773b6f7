"""A process of the benchmark: prepares programs of one library, and runs them when asked.

    python -m seqmodels.benchmark.worker

Reads one JSON request per line from stdin and answers each with one line of JSON on the stdout that
it was started with; whatever libraries print goes to stderr.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.allocator import keep_freed_memory
from seqmodels.benchmark.memory import PeakMemory

PROGRAMS = {
    ("seqmodels", "recurrent"): "seqmodels.benchmark.layers:recurrent",
    ("seqmodels", "attention"): "seqmodels.benchmark.layers:attention_layer",
    ("seqmodels", "scan"): "seqmodels.benchmark.layers:scan",
    ("seqmodels", "train"): "seqmodels.benchmark.training:train",
    ("seqmodels", "decode"): "seqmodels.benchmark.decoding:decode",
    ("seqmodels", "data"): "seqmodels.benchmark.inputs:data",
    ("seqmodels", "compile"): "seqmodels.benchmark.training:compilation",
    ("seqmodels", "machine"): "seqmodels.benchmark.machine:machine",
    ("seqmodels", "numerics"): "seqmodels.benchmark.numerics:numerics",
    ("jax", "attention"): "seqmodels.benchmark.layers:plain_attention",
    ("flax", "recurrent"): "seqmodels.benchmark.flax_peers:recurrent",
    ("torch", "recurrent"): "seqmodels.benchmark.torch_peers:recurrent",
    ("torch", "attention"): "seqmodels.benchmark.torch_peers:attention",
    ("torch", "train"): "seqmodels.benchmark.torch_models:train",
    ("torch", "decode"): "seqmodels.benchmark.torch_models:decode",
}
"""(library, suite) -> the function of parameters and a seed that makes a program."""
WARM_SECONDS, LONG_SECONDS = 0.02, 1.0
"""A program is warm after twice this time and two runs, one that takes long after its first run."""


class Worker:
    """The program that was prepared last, and its runs."""

    def __init__(self) -> None:
        self._program: Any = None
        self._count = 0

    def prepare(self, library: str, suite: str, params: dict[str, Any], seed: int, to: str) -> Any:
        """Makes a program, runs it until it is warm, and writes its outputs into an npz file.

        Returns:
          Its facts, with first_ms (of the first run) and peak_bytes (of memory, in addition to that
          before).
        """
        self.release()
        module, _, name = PROGRAMS[library, suite].partition(":")
        memory = PeakMemory()
        self._program = getattr(importlib.import_module(module), name)(params, seed)
        started = time.perf_counter()
        result = self._program.run(0)
        first = time.perf_counter() - started
        outputs = [np.asarray(x) for x in self._program.outputs(result)]
        np.savez(Path(to), *outputs)
        del result, outputs
        self._count = 1
        if first < LONG_SECONDS:
            for _ in range(2):
                self.run(WARM_SECONDS)
        return {"peak_bytes": memory.read(), "first_ms": 1e3 * first, **self._program.facts}

    def run(self, seconds: float) -> list[float]:
        """Runs the program, at least once, for about as long; returns the seconds of each run."""
        program, taken, until = self._program, [], time.perf_counter() + seconds
        while not taken or time.perf_counter() < until:
            started = time.perf_counter()
            program.run(self._count)
            taken.append(time.perf_counter() - started)
            self._count += 1
        return taken

    def release(self) -> None:
        """Frees the program."""
        if self._program is not None:
            self._program.close()
        self._program = None
        if jax := sys.modules.get("jax"):
            jax.clear_caches()
        gc.collect()


def serve(requests: Any, answers: Any) -> None:
    """Answers requests {"do": METHOD, **arguments} with {"done": ..}, {"missing": ..} (a library
    that is not installed) or {"failed": ..}, until the requests end."""
    worker = Worker()
    for line in requests:
        request = json.loads(line)
        try:
            done = getattr(worker, request.pop("do"))(**request)
            answer = {"done": done}
        except ImportError as error:
            answer = {"missing": f"{error.name or error}"}
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def main() -> None:
    """Serves the parent; of an interrupt it hears from the end of its requests."""
    keep_freed_memory()  # for every library, as a training does
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
