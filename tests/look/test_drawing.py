"""Figures that another process draws are those that this one draws."""

from __future__ import annotations

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

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
    added = np.flatnonzero((with_labels & ~without).any(axis=0))
    starts = Counter(np.diff(added) > 4)[True] + 1
    assert starts == 8
    assert not (without & ~with_labels).any()
