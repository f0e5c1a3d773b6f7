"""Helpers to start, observe and compare real runs of `launch.py train`."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from seqmodels.runs.checkpoints import Checkpoints
from seqmodels.runs.opening import read_config
from seqmodels.runs.rows import read_rows
from seqmodels.types import DataSpec, TokenInput, TrainState, VocabOutput
from tests.opening import set_up

ROOT = Path(__file__).parents[2]
NUM_STEPS = 240


@dataclasses.dataclass(frozen=True)
class Setting:
    """A small run: its flags and where its text and caches are."""

    folder: Path

    def command(self, workdir: Path, *more: str) -> list[str]:
        flags = {
            "model.model_dim": 8,
            "model.hidden_dim": 12,
            "model.dropout_rate": 0.2,
            "data.name": "text_file",
            "data.path": self.folder / "text.txt",
            "data.cache_dir": self.folder / "cache",
            "data.batching": "streams",
            "data.batch_size": 4,
            "data.sequence_length": 16,
            "training.num_steps": NUM_STEPS,
            "training.log_every": 6,
            "training.evaluate_every": 40,
            "training.checkpoint_every": 20,
            "training.ema_decay": 0.9,
            "evaluation.batch_size": 4,
            "evaluation.sequence_length": 32,
        }
        overrides = [f"--config.{name}={value}" for name, value in flags.items()]
        return [
            *(sys.executable, str(ROOT / "launch.py"), "train", "--config=demo_lstm"),
            *(*overrides, *more, f"--workdir={workdir}"),
        ]

    def start(self, workdir: Path, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(workdir, *more),
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "JAX_PLATFORMS": "cpu"},
        )

    def finish(self, workdir: Path, *more: str) -> str:
        process = self.start(workdir, *more)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        return errors


def make_setting(folder: Path) -> Setting:
    """Writes a text of made-up words."""
    rng = random.Random(0)
    words = ["".join(rng.choices("aeioulmnrst", k=rng.randint(2, 7))) for _ in range(40)]
    (folder / "text.txt").write_text(" ".join(rng.choices(words, k=2500)) + "\n")
    return Setting(folder)


@contextlib.contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """Limits files of this process to `size` bytes, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def wait_for_step(process: subprocess.Popen[str], workdir: Path, step: int) -> int:
    """Waits until a row of `step` or later is written; returns the step of the last row."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        rows = read_rows(workdir / "metrics.jsonl")
        if rows and rows[-1]["step"] >= step:
            return rows[-1]["step"]
        if process.poll() is not None:
            raise AssertionError(f"ended early ({process.returncode}): {process.communicate()[1]}")
        time.sleep(0.002)
    raise AssertionError(f"no step {step} in time")


def is_clock(name: str) -> bool:
    """Whether a field of a row differs between two runs of one config."""
    return name in ("seconds", "input_wait") or name.endswith("_per_second")


def rows_without_clock(workdir: Path) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in row.items() if not is_clock(name)}
        for row in read_rows(workdir / "metrics.jsonl")
    ]


def make_abstract(workdir: Path) -> TrainState:
    """Shapes, dtypes and shardings of a run's state."""
    vocab_size = json.loads((workdir / "data.json").read_text())["vocab_size"]
    spec = DataSpec(TokenInput(vocab_size), VocabOutput(vocab_size))
    config = read_config(workdir)
    return set_up(config, spec, carries_state=True).abstract


def raw(x: jax.Array) -> np.ndarray:
    """The numbers of an array or of a random key."""
    is_key = jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(x) if is_key else x)


def last_arrays(workdir: Path) -> dict[str, np.ndarray]:
    """Every array of the last checkpoint, by path."""
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        step, state = checkpoints.restore(make_abstract(workdir), "latest")
    assert step == read_config(workdir).training.num_steps
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    return {jax.tree_util.keystr(path): raw(x) for path, x in leaves}


def assert_same_run(a: Path, b: Path) -> None:
    """Asserts equal bits of parameters, moments, key, carry, sums and rows except for the clock."""
    left, right = last_arrays(a), last_arrays(b)
    assert left.keys() == right.keys()
    assert len(left) > 20
    for name in left:
        assert left[name].tobytes() == right[name].tobytes(), name
    assert json.dumps(rows_without_clock(a)) == json.dumps(rows_without_clock(b))
