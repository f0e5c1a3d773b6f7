"""Pictures of what a look finds. Imports no jax."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seqmodels.look.labels import drawn, legible

MOST_TICKS = 256
"""Labels along an axis; of more, every second is written, or fewer."""
MOST_SMALL = 64
"""The same of a map among several."""
_GAP = 0.04
"""Inches from an axis to its labels."""
_LINE_HEIGHT = 0.73
"""Height of capitals and ascenders, as a share of the size of the font."""


def new_figure(width: float, height: float) -> Any:
    """An empty figure of a size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def write_ticks(axis: Any, labels: Sequence[str], *, small: bool = False) -> None:
    """Writes tokens along an axis of matplotlib, upright, so that a text can be read.

    They are the outlines of their glyphs in one collection: ticks of matplotlib, of which each has
    two labels, two marks and a line of the grid, take ten times as long.
    """
    from matplotlib.collections import PathCollection
    from matplotlib.transforms import Affine2D, ScaledTranslation, blended_transform_factory

    every = -(-len(labels) // (MOST_SMALL if small else MOST_TICKS))
    places = range(0, len(labels), every)
    size = 5 if small or len(labels) > 150 else 7
    names = [drawn(labels[place]) for place in places]
    across, axes = axis.axis_name == "x", axis.axes
    upright = not across or max(map(len, names), default=1) <= 2
    inches = axes.get_figure(root=True).dpi_scale_trans
    gap = ScaledTranslation(0, -_GAP, inches) if across else ScaledTranslation(-_GAP, 0, inches)
    along = blended_transform_factory(axes.transData, axes.transAxes)
    if not across:
        along = blended_transform_factory(axes.transAxes, axes.transData)
    zeros, outlines = np.zeros(len(places)), [_outline(name, across, upright) for name in names]
    glyphs = PathCollection(
        outlines,
        offsets=np.stack([places, zeros] if across else [zeros, places], axis=1, dtype=float),
        offset_transform=along + gap,
        transform=Affine2D().scale(size / 72) + inches,
        facecolors="black",
        linewidths=0,
        snap=False,  # or the strokes of small letters move to whole pixels
        clip_on=False,
    )
    axis.set_ticks([])
    axes.add_artist(glyphs)
    deep = max((-path.vertices[:, int(across)].min(initial=0.0) for path in outlines), default=0.0)
    axis.labelpad = size * deep + 72 * _GAP + 2  # beyond the tick labels


@functools.cache
def _outline(text: str, across: bool, upright: bool) -> Any:
    """The path of a text of size 1, with the middle of its end at the axis in the origin."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.path import Path
    from matplotlib.textpath import text_to_path

    points, codes = text_to_path.get_text_path(FontProperties(), text)
    points = np.reshape(np.asarray(points, np.float64), (-1, 2)) / text_to_path.FONT_SCALE
    width = points[:, 0].max(initial=0.0)
    high = _LINE_HEIGHT
    if not across:  # ends left of the axis
        points = points - [width, high / 2]
    elif upright:  # hangs below the axis
        points = points - [width / 2, high]
    else:  # turned by a quarter, and ends below the axis
        points = np.stack([high / 2 - points[:, 1], points[:, 0] - width], axis=1)
    return Path(points, np.asarray(codes, Path.code_type))


def draw_heads(
    weights: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    highest: float = 1.0,
) -> Any:
    """Maps of attention [H, T, S], one for each head; the outer ones have the labels.

    Args:
      rows, columns: labels of the queries and of the keys.
      highest: weight of the brightest colour.
    """
    heads = len(weights)
    across = min(4, heads)
    down = -(-heads // across)
    side = 3.4 if heads > 1 else max(6.5, 0.09 * len(columns))
    size = (side * across + 1.6, side * down + 1.2)
    figure = plain_figure(*size)
    grid = figure.subplots(
        down, across, squeeze=False, gridspec_kw={"hspace": 0.12, "wspace": 0.05}
    )
    image = None
    for number, axes in enumerate(grid.flat):
        if number >= heads:
            axes.set_axis_off()
            continue
        image = axes.imshow(weights[number], cmap="viridis", vmin=0, vmax=highest, aspect="auto")
        axes.set_title(f"head {number}" if heads > 1 else "", fontsize=8, pad=3)
        axes.set(xticks=[], yticks=[])
        if number % across == 0:
            write_ticks(axes.yaxis, rows, small=heads > 1)
            axes.set_ylabel("query", fontsize=8)
        if number + across >= heads:
            write_ticks(axes.xaxis, columns, small=heads > 1)
            axes.set_xlabel("key", fontsize=8)
    bar = figure.add_axes((1 - 0.9 / size[0], 0.25, 0.15 / size[0], 0.5))
    figure.colorbar(image, cax=bar, label="weight")
    figure.suptitle(title, fontsize=10)
    return figure


def plain_figure(width: float, height: float, right: float = 1.1) -> Any:
    """An empty figure with margins in inches: laying out hundreds of labels takes seconds.

    Args:
      right: margin of that side, for a bar of colours or for nothing.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(
        left=0.9 / width, right=1 - right / width, bottom=0.75 / height, top=1 - 0.6 / height
    )
    return figure


def draw_over_text(
    panels: Mapping[str, np.ndarray], labels: Sequence[str], title: str, unit: str
) -> Any:
    """Heat maps [T, N] over the steps of a text, one per panel, with the text under each.

    Args:
      panels: name -> values; rows of a map are units, in order of their mean.
    """
    size = (max(6.0, 0.16 * len(labels) + 2.5), 1.9 * len(panels) + 1.0)
    figure = plain_figure(*size)
    grid = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"hspace": 0.35})
    for axes, (name, values) in zip(grid.flat, panels.items(), strict=True):
        low, high = (0.0, 1.0) if is_gate(name) else (-1.0, 1.0)
        if not is_gate(name):
            high = max(1e-9, float(np.abs(values).max()))
            low = -high
        order = np.argsort(values.mean(axis=0))
        cmap = "viridis" if is_gate(name) else "RdBu_r"
        image = axes.imshow(values.T[order], cmap=cmap, vmin=low, vmax=high, aspect="auto")
        axes.set_ylabel(f"{values.shape[1]} units", fontsize=7)
        axes.set_title(name, fontsize=8, loc="left", pad=2)
        axes.set_yticks([])
        write_ticks(axes.xaxis, labels)
        bar = figure.colorbar(image, ax=axes, label=unit if is_gate(name) else "value", pad=0.01)
        bar.ax.tick_params(labelsize=6)
    figure.suptitle(title, fontsize=10)
    return figure


def is_gate(name: str) -> bool:
    """Whether a value is between 0 and 1 by its name."""
    return name.rpartition(".")[2].endswith(("gate", "decay"))


def draw_lines(
    curves: Mapping[str, tuple[Any, Any]], x_label: str, y_label: str, title: str, **scales: str
) -> Any:
    """Curves (x, y) by name.

    Args:
      scales: xscale and yscale of matplotlib.
    """
    figure = new_figure(7, 4.2)
    axes = figure.add_subplot()
    for name, (x, y) in curves.items():
        axes.plot(x, y, label=name, marker="." if len(np.atleast_1d(x)) < 40 else "")
    axes.set(xlabel=x_label, ylabel=y_label, **scales)
    axes.set_title(title, fontsize=10, parse_math=False)
    axes.grid(alpha=0.3)
    if 1 < len(curves) <= 16:
        axes.legend(fontsize=7)
    return figure


def draw_bars_over_text(
    series: Mapping[str, np.ndarray], labels: Sequence[str], y_label: str, title: str
) -> Any:
    """A number for each step as bars, with the text under them.

    Args:
      series: name -> values [T]; at most a few.
    """
    from matplotlib.collections import PolyCollection

    figure = plain_figure(max(6.0, 0.2 * len(labels) + 1.5), 3.4, right=0.2)
    axes = figure.add_subplot()
    width = 0.8 / len(series)
    for number, (name, values) in enumerate(series.items()):
        left = np.arange(len(labels)) + (number - len(series) / 2) * width
        right, zeros = left + width, np.zeros(len(labels))
        corners = [(left, zeros), (right, zeros), (right, values), (left, values)]
        bars = np.stack([np.stack(corner, axis=1) for corner in corners], axis=1)
        # In one collection: `axes.bar` makes a patch of each.
        axes.add_collection(PolyCollection(list(bars), facecolors=f"C{number}", label=name))
    axes.autoscale_view()
    write_ticks(axes.xaxis, labels)
    axes.axhline(0, color="black", linewidth=0.5)
    axes.set_ylabel(y_label)
    axes.set_title(title, fontsize=10, parse_math=False)
    axes.margins(x=0.01)
    if len(series) > 1:
        axes.legend(fontsize=7)
    return figure


def draw_lens(scores: np.ndarray, labels: Sequence[str]) -> Any:
    """The logit lens [L, T], with the targets under it."""
    figure = plain_figure(max(6.0, 0.16 * len(labels) + 2.5), 0.5 * len(scores) + 1.6)
    axes = figure.add_subplot()
    image = axes.imshow(scores, cmap="viridis", aspect="auto", vmax=0)
    write_ticks(axes.xaxis, labels)
    axes.set_yticks(range(len(scores)), [f"layer {n}" for n in range(len(scores))], fontsize=7)
    axes.set_title("logit lens: log p of the target read off each layer", fontsize=10)
    figure.colorbar(image, ax=axes, label="log p (nats)", pad=0.01)
    return figure


def draw_plane(points: np.ndarray, labels: Sequence[str], title: str, axes_of: Any = None) -> Any:
    """Labelled points [n, 2]; or, with a unit circle, unlabelled complex numbers."""
    figure = plain_figure(6, 6, right=0.2)
    axes = figure.add_subplot()
    if axes_of == "circle":
        angles = np.linspace(0, 2 * np.pi, 200)
        axes.plot(np.cos(angles), np.sin(angles), color="gray", linewidth=0.8)
        axes.scatter(points[:, 0], points[:, 1], s=8)
        axes.set(xlabel="real part", ylabel="imaginary part", aspect="equal")
    else:
        axes.scatter(points[:, 0], points[:, 1], s=4, alpha=0.4)
        for (x, y), label in zip(points, labels, strict=True):
            axes.text(x, y, drawn(label), fontsize=8, parse_math=False)
        first, second = axes_of or ("first component", "second component")
        axes.set(xlabel=first, ylabel=second)
    axes.set_title(title, fontsize=10, parse_math=False)
    axes.grid(alpha=0.3)
    return figure


def draw_over_picture(picture: np.ndarray, maps: Mapping[str, np.ndarray], title: str) -> Any:
    """Maps of patches [rows, columns] over the image that they look at.

    Args:
      picture: [H, W, C] uint8.
      maps: name -> weights.
    """
    across = min(6, len(maps) + 1)
    down = -(-(len(maps) + 1) // across)
    figure = new_figure(2.1 * across, 2.3 * down + 0.4)
    grid = figure.subplots(down, across, squeeze=False)
    gray = picture[..., 0] if picture.shape[-1] == 1 else picture
    for axes in grid.flat:
        axes.set_axis_off()
    extent = (0, picture.shape[1], picture.shape[0], 0)
    show = {"cmap": "gray", "vmin": 0, "vmax": 255, "extent": extent}
    grid.flat[0].imshow(gray, **show)
    grid.flat[0].set_title("image", fontsize=8)
    for axes, (name, weights) in zip(grid.flat[1:], maps.items(), strict=False):
        axes.imshow(gray, **show)
        axes.imshow(weights, cmap="inferno", alpha=0.6, extent=extent, vmin=0)
        axes.set_title(legible(name), fontsize=8, parse_math=False)
    figure.suptitle(title, fontsize=10)
    return figure
