"""What docs/extending.md adds, made exactly as the page says."""

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
PAGE = ROOT / "docs" / "extending.md"
FOLLOWED = ("A model", "A cell", "A data set", "A feature", "A task", "A metric", "A command")
NEW = re.compile(r"# (\S+\.py)\n")
INSERTED = re.compile(r"# in (\S+\.py), after: (.*)\n")


def section(name: str) -> str:
    return PAGE.read_text().partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def follow(name: str, root: Path) -> None:
    """Writes the blocks of a section into a copy of the repository."""
    for block in re.findall(r"```python\n(.*?)```", section(name), re.DOTALL):
        if place := INSERTED.match(block):
            path, line = root / place[1], place[2]
            lines = path.read_text().splitlines(keepends=True)
            (at,) = (n for n, text in enumerate(lines) if text.strip() == line)
            path.write_text("".join([*lines[: at + 1], block[place.end() :], *lines[at + 1 :]]))
        else:
            place = NEW.match(block)
            assert place is not None
            assert not (root / place[1]).exists(), place[1]
            (root / place[1]).write_text(block[place.end() :])


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


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with everything new in it."""
    root = tmp_path_factory.mktemp("extended")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "results")
            )
        else:
            shutil.copy(ROOT / name, root / name)
    for name in FOLLOWED:
        follow(name, root)
    return root


def test_every_section_is_followed() -> None:
    assert set(re.findall(r"^## (.*)$", PAGE.read_text(), re.MULTILINE)) == set(FOLLOWED)
    assert all("```python" in section(name) for name in FOLLOWED)


def test_the_cell_is_new_and_short() -> None:
    (block, *_) = re.findall(r"```python\n(.*?)```", section("A cell"), re.DOTALL)
    assert "average" not in CELLS
    assert block.count("\n") - 1 <= 30


@pytest.mark.grid  # 15 s in a process of its own; the page is run by the tests below too
def test_the_model_and_the_cell_obey_the_laws(copy: Path) -> None:
    """By the commands of the page, as one."""
    selected = []
    for name in ("A model", "A cell"):
        (command,) = re.findall(r"`python (-m pytest [^`]*)`", section(name))
        words = shlex.split(command)
        assert words[:2] == ["-m", "pytest"] and words[2].startswith("tests/conformance")
        assert words[3] == "-k" and words[5:] == ["-m", ""]
        selected.append(words[4])
    words = ("-m", "pytest", "tests/conformance", "-k", " or ".join(selected), "-m", "", "-v")
    out = run(copy, *words, "-p", "no:cacheprovider")
    for name, least in zip(selected, (15, 8), strict=True):
        assert len(re.findall(rf"\[.*{name}.*\] PASSED", out)) >= least, out


def test_the_model_is_listed_and_its_config_is_valid(copy: Path) -> None:
    listed = json.loads(run(copy, "launch.py", "list", "--json"))
    assert {"fading_bag", "demo_fading_bag"} <= set(re.findall(r"\w+", json.dumps(listed)))
    out = run(copy, "launch.py", "train", "--config=demo_fading_bag", "--help")
    assert "model.model_dim=128" in out


IN_ONE_PROCESS = """
import json, sys
import launch
for words in json.loads(sys.argv[1]):
    assert launch.main(words) == 0, words
"""


def test_the_data_set_the_feature_the_task_and_the_metric(copy: Path, tmp_path: Path) -> None:
    """An estimate of sums beats the mean, and its best checkpoint is the one by the new metric."""
    workdir, given, found = (tmp_path / name for name in ("run", "sums.txt", "numbers.jsonl"))
    given.write_text("20 + 22\n1 + 2\n49 + 49\n")
    fields = {
        "data.cache_dir": tmp_path / "cache",
        "data.max_shapes": 1,
        "optimizer.peak_lr": 0.01,
        "optimizer.warmup_steps": 5,
        "training.best_metric": "explained",
        "training.num_steps": 150,
        "training.log_every": 50,
        "training.evaluate_every": 75,
        "training.checkpoint_every": 75,
        "evaluation.batch_size": 200,
    }
    overrides = [f"--config.{name}={value}" for name, value in fields.items()]
    at = f"--workdir={workdir}"
    commands = [
        ["train", "--config=demo_sums", *overrides, at],
        ["evaluate", at, "--split=test"],
        ["predict", at, f"--input={given}", f"--output={found}"],
        ["batch", at, "--json"],
    ]
    rows = json.loads(run(copy, "-c", IN_ONE_PROCESS, json.dumps(commands)))["rows"]
    for row in rows:
        result, text = row["text"].split("\n")
        assert float(result) == sum(map(int, text.split(" + ")))
    (path,) = (workdir / "evaluations").iterdir()
    values = json.loads(path.read_text())
    assert values["num_targets"] == 200
    assert values["loss"] < 0.05 * values["baseline"]["loss"]
    assert 0.95 < values["explained"] <= 1
    best = json.loads(run(copy, "launch.py", "inspect", at, "--json"))["best"]
    assert best["metric"] == "explained"
    answers = [json.loads(line) for line in found.read_text().splitlines()]
    assert [answer["text"] for answer in answers] == given.read_text().splitlines()
    for answer, number in zip(answers, (42, 3, 98), strict=True):
        assert abs(answer["number"] - number) < 6


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
    at = f"--workdir={tmp_path}"
    commands = [
        ["train", "--config=demo_lstm", *overrides, at],
        ["generate", at, "--max_tokens=20", "--json"],
    ]
    (text,) = json.loads(run(copy, "-c", IN_ONE_PROCESS, json.dumps(commands)))["texts"]
    assert len(text) == 20


def test_the_command_cuts_a_text(copy: Path, trained: Path) -> None:
    cut = run(copy, "launch.py", "tokens", f"--workdir={trained}", "--text=sun", "--json")
    assert json.loads(cut) == ["s", "u", "n"]
    assert "tokens" in run(copy, "launch.py", "--help")
