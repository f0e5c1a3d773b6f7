"""Pictures of forecasts: charts with fans, errors by step, and paths that move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.files import save_figure, write_picture

_MOST_CHANNELS = 4
_PAST = 3
"""Observed steps that a chart shows, in horizons."""
_MILLISECONDS = 120  # of a frame
_PAUSE = 1500  # milliseconds of the last one


Shown = tuple[np.ndarray, np.ndarray, np.ndarray]
"""What was read [.., L, C], what came [.., H, C] (NaN where it is not known), and the forecast
[.., H, C, Q], in the units of the data."""


def draw_windows(
    windows: Shown,
    channels: Sequence[str],
    levels: Sequence[float],
    path: Path,
) -> Path:
    """A column per window and a row per channel: what was read, what came, and the forecast.

    Quantiles are a fan around the middle one, darker where two levels are closer to it.

    Args:
      windows: several of them, along the first axis.
    """
    from matplotlib.figure import Figure

    past, truth, forecast = windows
    count, rows = len(past), min(len(channels), _MOST_CHANNELS)
    figure = Figure(figsize=(1.5 + 4.5 * count, 0.8 + 2.2 * rows), layout="constrained")
    grid = figure.subplots(rows, count, squeeze=False, sharex=True)
    horizon = forecast.shape[1]
    steps, shown = np.arange(1, horizon + 1), min(past.shape[1], _PAST * horizon)
    for window in range(count):
        for channel in range(rows):
            axes, own = grid[channel, window], forecast[window, :, channel]
            axes.plot(np.arange(1 - shown, 1), past[window, -shown:, channel], color="0.4")
            for low in range(len(levels) // 2):
                edges = own[:, low], own[:, -1 - low]
                label = f"{levels[low]:g} to {levels[-1 - low]:g}"
                axes.fill_between(steps, *edges, color="C0", alpha=0.25, lw=0, label=label)
            axes.plot(steps, own[:, own.shape[1] // 2], color="C0", label="forecast")
            if not np.isnan(truth[window, :, channel]).all():
                axes.plot(steps, truth[window, :, channel], color="C1", lw=1.2, label="true")
            axes.axvline(0.5, color="0.7", lw=0.8)
            axes.grid(alpha=0.3)
            if window == 0:
                axes.set_ylabel(channels[channel], parse_math=False)
        grid[-1, window].set_xlabel("steps ahead")
    grid[0, 0].legend(loc="upper left", fontsize="small")
    return save_figure(figure, path)


def draw_errors(figures: Mapping[str, Any], path: Path) -> Path:
    """The squared error over the horizon, of a run and of its baselines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    base = figures.get("baseline")
    others = [] if base is None else [*base["beside"], base]
    for row in others:
        steps = range(1, len(row["mse_by_step"]) + 1)
        axes.plot(steps, row["mse_by_step"], lw=1, ls="--", label=row["model"])
    own = figures["mse_by_step"]
    axes.plot(range(1, len(own) + 1), own, lw=2, color="C3", label="this run")
    axes.set_xlabel("steps ahead")
    axes.set_ylabel("mse (scaled values)")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    return save_figure(figure, path)


def draw_path(window: Shown, path: Path) -> Path:
    """An animated GIF of the first two channels as a place: what was read, then truth and forecast.

    A series of one channel moves up and down. The true places are left out where they are not
    known.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    past, truth, forecast = window
    found = forecast[..., forecast.shape[-1] // 2]
    past, truth, found = (_plane(x) for x in (past, truth, found))
    every = np.concatenate([past, truth[~np.isnan(truth).any(axis=1)], found])
    low, high = every.min(axis=0), every.max(axis=0)
    edge = 0.08 * np.maximum(high - low, 1e-6)
    figure = Figure(figsize=(4.2, 4.2), dpi=80)
    canvas, axes = FigureCanvasAgg(figure), figure.add_subplot()
    axes.set_xlim(low[0] - edge[0], high[0] + edge[0])
    axes.set_ylim(low[1] - edge[1], high[1] + edge[1])
    axes.plot(*past.T, "o-", color="0.6", ms=3, lw=1, label="read")
    (true,) = axes.plot([], [], "o-", color="C1", ms=5, lw=1, label="true")
    (predicted,) = axes.plot([], [], "o-", color="C0", ms=5, lw=1, label="predicted")
    axes.legend(loc="best", fontsize="small")
    frames = []
    for ahead in range(len(found) + 1):
        true.set_data(*truth[:ahead].T)
        predicted.set_data(*found[:ahead].T)
        axes.set_title(f"{ahead} steps ahead")
        canvas.draw()
        frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("P"))
    times = [_MILLISECONDS] * len(found) + [_PAUSE]
    how = {"save_all": True, "append_images": frames[1:], "duration": times, "loop": 0}
    return write_picture(path, lambda to: frames[0].save(to, **how))


def _plane(values: np.ndarray) -> np.ndarray:
    """The first two channels; of one channel, time and value."""
    if values.shape[1] > 1:
        return values[:, :2]
    return np.concatenate([np.zeros_like(values), values], axis=1)
