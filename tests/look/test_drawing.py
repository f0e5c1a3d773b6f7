"""Figures that another process draws are those that this one draws."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seqmodels.config.errors import RunFailure
from seqmodels.look.drawing import Painter, as_png, draw
from seqmodels.look.figures import draw_bars_over_text, draw_heads, draw_lines
from seqmodels.look.sections import Section

LABELS = ["a", " ", "語", "\n", "longer"]


def make_section() -> Section:
    rng = np.random.default_rng(0)
    section = Section("things", "Things", "")
    heads = rng.dirichlet(np.ones(5), size=(2, 5))
    section.add_figure("maps", draw_heads, heads, LABELS, LABELS, "weights")
    series = {"one": rng.normal(size=5), "two": rng.normal(size=5)}
    section.add_figure("bars", draw_bars_over_text, series, LABELS, "nats", "bars")
    return section


def test_a_painter_draws_the_same_pictures() -> None:
    section, none = make_section(), Section("none", "None", "")
    with Painter() as painter:
        painter.add(section)
        painter.add(none)
        found = painter.pictures()
    assert found == draw([section, none])
    assert found["none"] == {} and list(found["things"]) == ["maps", "bars"]


def test_a_figure_that_cannot_be_drawn_is_an_error_here() -> None:
    section = Section("things", "Things", "")
    section.add_figure("lines", draw_lines, {"wrong": ([1, 2], [1, 2, 3])}, "x", "y", "lines")
    with Painter() as painter:
        painter.add(section)
        with pytest.raises(ValueError, match="same first dimension"):
            painter.pictures()


def test_labels_leave_ink_under_their_steps() -> None:
    """A bar for each step, and a label under each of them."""

    def ink(labels: list[str]) -> np.ndarray:
        section = Section("one", "One", "")
        section.add_figure("bars", draw_bars_over_text, {"x": np.ones(len(labels))}, labels, "", "")
        picture = Image.open(io.BytesIO(as_png(section.figures["bars"]))).convert("L")
        return np.asarray(picture) < 128

    with_labels, without = ink(list("HHHHHHHH")), ink(["\N{NO-BREAK SPACE}"] * 8)
    added = with_labels & ~without
    columns = np.flatnonzero(added.any(axis=0))
    labels = np.split(columns, np.flatnonzero(np.diff(columns) > 4) + 1)
    centres = [group.mean() for group in labels]
    np.testing.assert_allclose(np.diff(centres), (centres[-1] - centres[0]) / 7, atol=1)
    assert len(labels) == 8
    axis = np.flatnonzero(without.sum(axis=1) > without.shape[1] // 2).max()
    rows = np.flatnonzero(added.any(axis=1))
    assert axis < rows.min() and rows.max() < axis + 20
    assert not (without & ~with_labels).any()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_painter_ends_with_its_parent(tmp_path: Path) -> None:
    """Also with one that is killed, and so says nothing to it."""
    text = (
        "import os, pathlib, sys; from seqmodels.look.drawing import Painter\n"
        "if __name__ == '__main__':\n"
        "    painter = Painter()\n"
        "    pid = painter._pool.submit(os.getpid).result()\n"
        "    pathlib.Path(sys.argv[1]).write_text(str(pid))\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    program, file = tmp_path / "program.py", tmp_path / "pid"
    program.write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, str(program), str(file)], env=environment, timeout=100)
    pid, begun = int(file.read_text()), time.monotonic()
    while is_alive(pid) and time.monotonic() - begun < 20:
        time.sleep(0.02)
    assert not is_alive(pid)


def is_alive(pid: int) -> bool:
    """Whether a process is running; a zombie (state Z) is not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_painter_that_dies_is_one_line() -> None:
    section = Section("things", "Things", "")
    section.add_figure("none", os._exit, 3)
    with Painter() as painter:
        painter.add(section)
        with pytest.raises(RunFailure, match="process that draws"):
            painter.pictures()
