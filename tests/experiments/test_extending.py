"""The model and the command of docs/extending.md, made exactly as the page says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.experiments.test_recipe import COPIED, ROOT, run

PAGE = ROOT / "docs" / "extending.md"
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
            assert not (root / place[1]).exists()
            (root / place[1]).write_text(block[place.end() :])


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with the new model and the new command."""
    root = tmp_path_factory.mktemp("extended")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "results")
            )
        else:
            shutil.copy(ROOT / name, root / name)
    follow("A model", root)
    follow("A command", root)
    return root


def test_the_model_obeys_the_laws(copy: Path) -> None:
    (command,) = re.findall(r"`python (-m pytest [^`]*)`", section("A model"))
    out = run(copy, *shlex.split(command), "-q", "-p", "no:cacheprovider")
    passed = re.search(r"(\d+) passed", out)
    assert passed is not None
    assert int(passed[1]) >= 15


def test_the_model_is_listed_and_its_config_is_valid(copy: Path) -> None:
    listed = json.loads(run(copy, "launch.py", "list", "--json"))
    assert {"fading_bag", "demo_fading_bag"} <= set(re.findall(r"\w+", json.dumps(listed)))
    out = run(copy, "launch.py", "train", "--config=demo_fading_bag", "--help")
    assert "model.model_dim=128" in out


def test_the_command_cuts_a_text(copy: Path, trained: Path) -> None:
    cut = run(copy, "launch.py", "tokens", f"--workdir={trained}", "--text=sun", "--json")
    assert json.loads(cut) == ["s", "u", "n"]
    assert "tokens" in run(copy, "launch.py", "--help")
