"""A picture of a run's losses. Imports no jax."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError
from seqmodels.training.writers import METRICS, read_rows


def draw_loss(workdir: Path) -> Path:
    """Draws the losses of a run over its steps to `figures/loss.png`; returns the path.

    Raises:
      UserError: there are no rows yet, or it cannot be written.
    """
    rows = read_rows(workdir / METRICS)
    if not rows:
        raise UserError(f"--workdir={workdir}: no metrics yet, nothing to draw")
    path = workdir / "figures" / "loss.png"
    try:
        path.parent.mkdir(exist_ok=True)
        make_figure(rows, str(workdir)).savefig(path, dpi=150)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    return path


def make_figure(rows: list[dict[str, Any]], title: str) -> Any:
    """A figure of the loss of each split over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for split, marker in (("train", ""), ("validation", "o")):
        points = [(row["step"], row["loss"]) for row in rows if row["split"] == split]
        if points:
            axes.plot(*zip(*points, strict=True), marker=marker, label=split)
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats per target)")
    axes.set_title(title, parse_math=False)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
