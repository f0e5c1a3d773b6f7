"""Fixtures: calls of `launch.py`, and a small run that is trained once."""

from __future__ import annotations

import dataclasses
import json
import logging
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import launch


@dataclasses.dataclass
class Answer:
    """Result of a command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.status == 0, self.err
        return json.loads(self.out)

    @property
    def line(self) -> str:
        """The only line on stderr, which reports a mistake."""
        assert self.status == 2, self.err
        assert self.out == ""
        (line,) = self.err.splitlines()
        return line


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Restores the logging of commands, whose stderr is closed after each test."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


class FrontDoor:
    """Calls `launch.py` in this process."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *words: object) -> Answer:
        self._capture.readouterr()
        status = launch.main([str(word) for word in words])
        return Answer(status, *self._capture.readouterr())


@pytest.fixture
def door(capsys: pytest.CaptureFixture[str]) -> FrontDoor:
    return FrontDoor(capsys)


@dataclasses.dataclass(frozen=True)
class Small:
    """A config small enough for a test: its flags, and the places of its text and cache."""

    folder: Path

    def words(self, *more: str) -> list[str]:
        fields = {
            "model.model_dim": 8,
            "model.hidden_dim": 12,
            "data.name": "text_file",
            "data.path": self.folder / "text.txt",
            "data.cache_dir": self.folder / "cache",
            "data.unknown_symbols": False,
            "data.batch_size": 4,
            "data.sequence_length": 16,
            "optimizer.warmup_steps": 2,
            "training.num_steps": 6,
            "training.log_every": 2,
            "training.evaluate_every": 3,
            "training.checkpoint_every": 3,
            "evaluation.batch_size": 4,
            "evaluation.sequence_length": 32,
            "evaluation.baseline_order": 3,
        }
        overrides = [f"--config.{name}={value}" for name, value in fields.items()]
        return ["--config=demo_lstm", *overrides, *more]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    folder = tmp_path_factory.mktemp("small")
    rng = random.Random(0)
    words = ["".join(rng.choices("aeioulmnrst", k=rng.randint(2, 7))) for _ in range(40)]
    (folder / "text.txt").write_text(" ".join(rng.choices(words, k=900)))
    return Small(folder)


@pytest.fixture(scope="session")
def trained(small: Small) -> Path:
    """A work directory with checkpoints of steps 3 and 6."""
    workdir = small.folder / "run"
    assert launch.main(["train", *small.words(), f"--workdir={workdir}"]) == 0
    return workdir


@pytest.fixture
def copy_of_trained(trained: Path, tmp_path: Path) -> Path:
    made = shutil.ignore_patterns("evaluations", "samples")  # made by earlier tests
    return shutil.copytree(trained, tmp_path / "run", ignore=made)
