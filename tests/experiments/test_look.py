"""`launch.py look`: its files, for each way to give it something, and its mistakes."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from seqmodels import load_run
from seqmodels.look.labels import drawn
from tests.experiments.conftest import FrontDoor

TEXT = "main also main"


class Links(HTMLParser):
    """What a page refers to, and its ids."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src"):
                self.links.append(value or "")
            if name == "id":
                self.ids.add(value or "")


def test_a_run_is_looked_at(door: FrontDoor, trained: Path, tmp_path: Path) -> None:
    words = ("look", f"--workdir={trained}", f"--text={TEXT}", f"--folder={tmp_path}", "--json")
    answer = door(*words).json
    what = ["recurrence", "gradient_flow", "predictions", "attribution", "embeddings", "parameters"]
    assert answer["what"] == what
    assert answer["num_steps"] == len(TEXT)
    assert all(Path(path).stat().st_size > 100 for path in answer["files"])
    numbers = json.loads((tmp_path / "look.json").read_text())
    run = load_run(trained)
    found = door("predict", f"--workdir={trained}", f"--input={_file(tmp_path)}").json
    total = sum(numbers["predictions"]["log_probability"])
    assert total == pytest.approx(found["log_probability"], abs=1e-4)
    assert "ngram_log_probability" in numbers["predictions"]
    gate = np.array(numbers["recurrence"]["cells.0"]["forget_gate"])
    assert gate.shape == (len(TEXT), run.config.model.hidden_dim)
    page = (tmp_path / "look.html").read_text()
    links = Links(page)
    local = [link.removeprefix("#") for link in links.links if not link.startswith("data:")]
    assert local == what
    assert set(local) <= links.ids
    assert not re.search(r"https?:|//cdn|@import", page)


def _file(folder: Path) -> Path:
    path = folder / "given.txt"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("", "one of them is required, 0 are given"),
        ("--text=a --input=b", "one of them is required, 2 are given"),
        ("--text=", "--text=: is empty"),
        ("--image=a.png", "--image=a.png: this run reads texts"),
        ("--input=/nowhere", "--input=/nowhere: no such file"),
        ("--text=a --what=atention", "did you mean 'attention'?"),
        ("--text=a --what=,", "names none of attention"),
        ("--text=a --what=attention", "--what=attention: this recurrent has none"),
        ("--text=a --target=b", "--target=b: is for tasks with a source"),
        ("--text=a --limit=1", "--limit=1: must be integer >= 2"),
        ("--text=\U0001f600", "\U0001f600"),
    ],
)
def test_mistakes(door: FrontDoor, trained: Path, tmp_path: Path, words: str, line: str) -> None:
    folder = tmp_path / "look"
    told = door("look", f"--workdir={trained}", f"--folder={folder}", *words.split()).line
    assert line in told
    assert not folder.exists()


def test_labels_have_ink_and_a_glyph() -> None:
    assert drawn("a") == "a"
    assert drawn(" the\n") == "\u2423the\u21b5"
    assert drawn("\u4e2d\U0001f980") == "U+4E2DU+1F980"
    assert drawn("x" * 99) == "x" * 11 + "\u2026"
    assert drawn("") == "\u2205"
