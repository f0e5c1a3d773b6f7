"""`inspect --figure` plots the rows of metrics.jsonl."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seqmodels.config.errors import UserError
from seqmodels.runs.figures import draw_loss, make_figure, make_length_figure
from tests.runs.test_follow import row

ROWS = [row(2), row(4), row(4, "validation", 1.5), row(6), row(8), row(8, "validation", 1.25)]


def test_curves_show_the_rows() -> None:
    (axes,) = make_figure(ROWS, "a $ run", "bits per die").axes
    curves = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert curves == {
        "train": [[2, 2.0], [4, 1.0], [6, 4 / 6], [8, 0.5]],
        "validation": [[4, 1.5], [8, 1.25]],
    }
    assert axes.get_ylabel() == "loss (bits per die)"


def test_the_figure_is_written_to_the_returned_path(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no metrics yet"):
        draw_loss(tmp_path, "nats")
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in ROWS))
    assert draw_loss(tmp_path, "nats") == tmp_path / "figures" / "loss.png"
    assert (tmp_path / "figures" / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_scores_are_plotted_over_the_middle_of_their_part() -> None:
    def part(shortest: int, longest: int, bleu: float) -> dict[str, float]:
        return {"shortest": shortest, "longest": longest, "bleu": bleu}

    curves = {"one": [part(3, 9, 40.0), part(10, 30, 20.0)], "other": [part(3, 9, 41.0)]}
    (axes,) = make_length_figure(curves, "bleu", "BLEU").axes
    assert axes.get_ylabel() == "BLEU"
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert drawn == {"one": [[6, 40.0], [20, 20.0]], "other": [[6, 41.0]]}
