"""README's recipe for a cell, followed word for word: the cell obeys the laws and trains."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from seqmodels.registry import CELLS

ROOT = Path(__file__).parents[2]
COPIED = ("seqmodels", "experiments", "tests", "launch.py", "pyproject.toml", "requirements.txt")
WHOLE = re.compile(r"# (\S+\.py)\n")
INSERTED = re.compile(r"# in (\S+\.py), after: (.*)\n")


def section() -> str:
    text = (ROOT / "docs" / "extending.md").read_text()
    return text.partition("## A cell\n")[2].partition("\n## ")[0]


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", section(), flags=re.DOTALL)


def follow(root: Path) -> set[str]:
    """Does what README says, in a copy; returns the files it touched."""
    touched = set()
    for block in blocks():
        if place := INSERTED.match(block):
            name, line = place.groups()
            text = (root / name).read_text()
            ends = [m.end() for m in re.finditer(rf"^.*{re.escape(line)}.*\n", text, re.MULTILINE)]
            assert len(ends) == 1, f"{name}: {line!r} is there {len(ends)} times"
            text = text[: ends[0]] + block[place.end() :] + text[ends[0] :]
        else:
            place = WHOLE.match(block)
            assert place is not None
            (name,) = place.groups()
            assert not (root / name).exists()
            text = block[place.end() :]
        (root / name).write_text(text)
        touched.add(name)
    return touched


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recipe")
    for name in COPIED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, root / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, root / name)
    assert follow(root) == {
        "seqmodels/layers/average_cell.py",
        "seqmodels/registry/parts.py",
        "tests/conformance/cases.py",
    }
    return root


def run(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_cell_is_new_and_short() -> None:
    assert "average" not in CELLS
    assert blocks()[0].count("\n") - 1 <= 30


def test_the_cell_obeys_the_laws(copy: Path) -> None:
    (command,) = re.findall(r"`python (-m pytest [^`]*)`", section())
    out = run(copy, *shlex.split(command), "-q", "-p", "no:cacheprovider")
    passed = re.search(r"(\d+) passed", out)
    assert passed is not None
    assert int(passed[1]) >= 8


def test_the_cell_trains_and_generates(copy: Path, tmp_path: Path) -> None:
    sizes = {
        "model.cell": "average",
        "model.num_layers": 2,
        "model.model_dim": 16,
        "model.hidden_dim": 16,
        "data.batch_size": 4,
        "training.num_steps": 40,
        "training.log_every": 20,
        "training.evaluate_every": 40,
        "training.checkpoint_every": 40,
    }
    overrides = [f"--config.{name}={value}" for name, value in sizes.items()]
    run(copy, "launch.py", "train", "--config=demo_lstm", *overrides, f"--workdir={tmp_path}")
    made = run(copy, "launch.py", "generate", f"--workdir={tmp_path}", "--max_tokens=20", "--json")
    (text,) = json.loads(made)["texts"]
    assert len(text) == 20
