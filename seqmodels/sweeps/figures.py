"""Figures of a sweep: parallel coordinates, and the metric against each field. Imports no jax."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seqmodels.config.serialization import show_value
from seqmodels.files import save_figure
from seqmodels.sweeps.grid import short_names
from seqmodels.sweeps.table import Summary


def draw_figures(root: Path, summary: Summary) -> list[Path]:
    """Writes `figures/parallel.png` and `figures/<field>.png` for each swept field.

    Returns:
      Their paths; none without a finished run or a field besides the seed.
    """
    if not summary.fields or all(point.mean is None for point in summary.points):
        return []
    paths = [save_figure(make_parallel(summary), root / "figures" / "parallel.png")]
    for field in summary.fields:
        figure = make_scatter(summary, field)
        paths.append(save_figure(figure, root / "figures" / f"{field}.png"))
    return paths


def _places(values: Sequence[Any]) -> tuple[list[float], bool]:
    """Values as numbers, and whether an axis of logarithms suits them; others are counted."""
    numbers = [x for x in values if isinstance(x, int | float) and not isinstance(x, bool)]
    if len(numbers) == len(values):
        return [float(x) for x in numbers], min(numbers) > 0 and max(numbers) >= 8 * min(numbers)
    known = sorted({show_value(x) for x in values})
    return [float(known.index(show_value(x))) for x in values], False


def make_scatter(summary: Summary, field: str) -> Any:
    """Plots the result of every run against a field; a line joins the medians."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    points = [point for point in summary.points if point.results]
    places, logarithmic = _places([point.values[field] for point in points])
    by_place: dict[float, list[float]] = {}
    for place, point in zip(places, points, strict=True):
        by_place.setdefault(place, []).extend(point.results.values())
    for place, results in by_place.items():
        axes.plot([place] * len(results), results, "o", color="tab:blue", alpha=0.5)
    middles = [(place, sorted(x)[len(x) // 2]) for place, x in sorted(by_place.items())]
    axes.plot(*zip(*middles, strict=True), color="tab:blue", label="median")
    if summary.baseline is not None:
        name, value = summary.baseline
        axes.axhline(value, color="grey", linestyle="--", label=f"baseline: {name}")
    if logarithmic:
        axes.set_xscale("log")
    elif not all(isinstance(point.values[field], int | float) for point in points):
        names = {p: show_value(q.values[field]) for p, q in zip(places, points, strict=True)}
        axes.set_xticks(list(names), list(names.values()))
    axes.set_xlabel(field)
    axes.set_ylabel(f"validation {summary.metric.name.replace('_', ' ')}")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def make_parallel(summary: Summary) -> Any:
    """Plots each point as a line over one axis per field and one for the metric.

    The better a point, the darker its line; the top of the last axis is the best.
    """
    import matplotlib
    from matplotlib.figure import Figure

    points = [point for point in summary.points if point.mean is not None]
    columns: dict[str, list[float]] = {}
    ticks: dict[str, dict[float, str]] = {}
    for field, short in short_names(summary.fields).items():
        values = [point.values[field] for point in points]
        places, logarithmic = _places(values)
        columns[short] = [math.log(x) for x in places] if logarithmic else places
        ticks[short] = {p: show_value(v) for p, v in zip(columns[short], values, strict=True)}
    costs = [summary.metric.cost(point.mean or 0.0) for point in points]
    last = summary.metric.name.replace("_", " ")
    columns[last] = [-cost for cost in costs]
    ticks[last] = {-cost: f"{p.mean:.4g}" for cost, p in zip(costs, points, strict=True)}
    figure = Figure(figsize=(1.5 + 1.8 * len(columns), 4.5), layout="constrained")
    axes = figure.add_subplot()
    scaled = {name: _scaled(values) for name, values in columns.items()}
    colours = matplotlib.colormaps["viridis"]
    for n in reversed(range(len(points))):  # the best one is on top
        line = [values[n] for values in scaled.values()]
        axes.plot(range(len(line)), line, color=colours(0.9 * (1 - scaled[last][n])), alpha=0.8)
    for x, name in enumerate(columns):
        axes.axvline(x, color="black", linewidth=0.8)
        shown = {y: ticks[name][v] for y, v in zip(scaled[name], columns[name], strict=True)}
        for y, text in _spaced(shown):
            axes.text(x + 0.03, y, text, fontsize=8, va="center")
    axes.set_xticks(range(len(columns)), list(columns))
    axes.set_yticks([])
    axes.set_xlim(-0.1, len(columns) - 0.6)
    return figure


def _scaled(values: Sequence[float]) -> list[float]:
    """Values mapped to 0 .. 1; equal ones to 1/2."""
    low, high = min(values), max(values)
    return [0.5 if low == high else (value - low) / (high - low) for value in values]


def _spaced(shown: dict[float, str], least: float = 0.045) -> list[tuple[float, str]]:
    """The texts that do not overlap, from the top, so that the best one is there."""
    kept: list[tuple[float, str]] = []
    for y, text in sorted(shown.items(), reverse=True):
        if not kept or kept[-1][0] - y >= least:
            kept.append((y, text))
    return kept
