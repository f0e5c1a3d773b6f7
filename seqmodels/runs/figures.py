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


def make_length_figure(
    curves: dict[str, list[dict[str, Any]]], metric: str, label: str, what: str = "source tokens"
) -> Any:
    """Plots a metric over the length of the source.

    Without attention a state of fixed size has to hold the whole source, so scores fall with its
    length (Bahdanau et al., 2015, figure 2).

    Args:
      curves: name -> parts of a split, with keys shortest, longest and the metric.
      metric: the key of the metric.
      label: its name on the axis.
      what: what the length counts.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for name, parts in curves.items():
        middles = [(part["shortest"] + part["longest"]) / 2 for part in parts]
        axes.plot(middles, [part[metric] for part in parts], marker="o", label=name)
    axes.set_xlabel(f"{what} (middle of each part)")
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def make_heat_map(
    panels: dict[str, dict[str, dict[str, float]]],
    label: str,
    marks: dict[str, dict[str, dict[str, str]]],
) -> Any:
    """Draws numbers from 0 to 1 as colours, with a panel for each table.

    Args:
      panels: title -> row -> column -> number; cells may be missing.
      label: of the colours.
      marks: title -> row -> column -> text below the number.
    """
    from matplotlib.figure import Figure

    rows = list(next(iter(panels.values())))
    columns = list(dict.fromkeys(c for table in panels.values() for r in table.values() for c in r))
    size = (2.5 + 0.75 * len(columns) * len(panels), 2.4 + 0.45 * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    drawn: Any = None
    for place, (title, table) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(1, len(panels), place)
        nothing = float("nan")
        values = [[table[row].get(column, nothing) for column in columns] for row in rows]
        drawn = axes.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto")
        axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
        axes.set_yticks(range(len(rows)), rows if place == 1 else [""] * len(rows))
        axes.set_title(title)
        for y, row in enumerate(rows):
            for x, column in enumerate(columns):
                if (value := table[row].get(column)) is not None:
                    text = f"{value:.2f}\n{marks[title][row].get(column, '')}".strip()
                    colour = "black" if value > 0.6 else "white"
                    axes.text(x, y, text, ha="center", va="center", color=colour, fontsize=7)
    figure.colorbar(drawn, ax=figure.axes, label=label)
    return figure
