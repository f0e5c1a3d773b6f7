"""Times of starting: `--help`, and the first training step with a cold and a warm compile cache.

Each run is a process of its own. Imports no jax.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from seqmodels.benchmark import timing
from seqmodels.benchmark.measure import Say, make_row
from seqmodels.benchmark.processes import ROOT
from seqmodels.benchmark.suites import OURS, Size

_MODEL = {Size.SMALL: (1, 32, 2), Size.FULL: (4, 128, 4)}
_RUNS = {Size.SMALL: 2, Size.FULL: 6}


def measure_startup(size: Size, say: Say) -> Iterator[dict[str, Any]]:
    """Yields the rows of the suite `startup`; `say` prints what is skipped."""
    try:
        yield from _rows(size)
    except subprocess.CalledProcessError as error:
        line = error.stderr.decode(errors="replace").strip().split("\n")[-1]
        if "ModuleNotFoundError" in line:
            say(f"startup: skipped, because of {line}")
        else:
            yield make_row("startup", "a command", OURS, problem=line)


def _rows(size: Size) -> Iterator[dict[str, Any]]:
    front = [sys.executable, str(ROOT / "launch.py")]
    runs = {
        OURS: lambda: _seconds([*front, "--help"]),
        "python": lambda: _seconds([sys.executable, "-c", "pass"]),
    }
    yield _row("--help", "python -c pass", _in_turn(runs, timing.MIN_ROUNDS))
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        yield from _first_steps(Path(name), front, size)


def _first_steps(folder: Path, front: Sequence[str], size: Size) -> Iterator[dict[str, Any]]:
    rng = random.Random(0)
    text = "".join(rng.choices("aeioulmnrst ", k=60_000))
    (folder / "text.txt").write_text(text, encoding="utf-8")
    layers, dim, heads = _MODEL[size]
    fields = {
        "model.num_layers": layers,
        "model.model_dim": dim,
        "model.num_heads": heads,
        "model.mlp_dim": 4 * dim,
        "data.name": "text_file",
        "data.path": folder / "text.txt",
        "data.cache_dir": folder / "cache",
        "data.sequence_length": 64,
        "data.batch_size": 4,
    }
    command = [*front, "train", "--config=demo_gpt", "--dry_run"]
    command += [f"--config.{name}={value}" for name, value in fields.items()]

    def first_step(cache: str) -> float:
        environment = {"JAX_COMPILATION_CACHE_DIR": str(folder / cache)}
        return _seconds(command, environment)

    caches = (f"cache{n}" for n in range(_RUNS[size]))
    series: dict[str, list[float]] = {OURS: [], "cold cache": []}
    for cache in caches:
        series["cold cache"].append(first_step(cache))
        series[OURS].append(first_step(cache))
    yield _row("train --dry_run, warm cache", "cold cache", series)


def _row(case: str, peer: str, series: dict[str, list[float]]) -> dict[str, Any]:
    own, other = series.values()
    found, ratio = timing.interval_of(own), timing.ratio_of(other, own)
    return make_row(
        "startup",
        case,
        OURS,
        ms=1e3 * found.median,
        ms_low=1e3 * found.low,
        ms_high=1e3 * found.high,
        rounds=len(own),
        noisy=found.is_noisy,
        peer=peer,
        peer_ms=1e3 * timing.interval_of(other).median,
        ratio=ratio.median,
        ratio_low=ratio.low,
        ratio_high=ratio.high,
        ratio_noisy=ratio.is_noisy,
    )


def _in_turn(runs: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    series: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            series[name].append(run())
    return series


def _seconds(command: Sequence[str], more: dict[str, str] | None = None) -> float:
    """Seconds that a process takes.

    Raises:
      subprocess.CalledProcessError: it fails.
    """
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **(more or {})})
    return time.perf_counter() - started
