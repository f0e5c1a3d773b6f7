"""Figures of runs: losses, and scores by the length of the source. Imports no jax."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError
from seqmodels.files import save_figure
from seqmodels.runs.rows import METRICS, read_rows


def draw_loss(workdir: Path, unit: str) -> Path:
    """Plots the losses of a run over its steps in `figures/loss.png`; returns the path.

    Args:
      unit: of the loss.

    Raises:
      UserError: there are no rows yet, or the figure cannot be written.
    """
    rows = read_rows(workdir / METRICS)
    if not rows:
        raise UserError(f"--workdir={workdir}: no metrics yet")
    return save_figure(make_figure(rows, str(workdir), unit), workdir / "figures" / "loss.png")


def make_figure(rows: list[dict[str, Any]], title: str, unit: str) -> Any:
    """Plots the loss of each split over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for split, marker in (("train", ""), ("validation", "o")):
        points = [(row["step"], row["loss"]) for row in rows if row["split"] == split]
        if points:
            axes.plot(*zip(*points, strict=True), marker=marker, label=split)
    axes.set_xlabel("step")
    axes.set_ylabel(f"loss ({unit})")
    axes.set_title(title, parse_math=False)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def make_length_figure(curves: dict[str, list[dict[str, Any]]], metric: str, label: str) -> Any:
    """Plots a metric over the length of the source.

    Without attention a state of fixed size has to hold the whole source, so scores fall with its
    length (Bahdanau et al., 2015, figure 2).

    Args:
      curves: name -> parts of a split, with keys shortest, longest and the metric.
      metric: the key of the metric.
      label: its name on the axis.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for name, parts in curves.items():
        middles = [(part["shortest"] + part["longest"]) / 2 for part in parts]
        axes.plot(middles, [part[metric] for part in parts], marker="o", label=name)
    axes.set_xlabel("source tokens (middle of each part)")
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
