"""Pictures of classes: how often each was taken for each, and where they are on a plane."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from seqmodels.protocols import Model, Trial
from seqmodels.tasks.class_scores import count_confusions
from seqmodels.tasks.task import Task, own_params
from seqmodels.types import Batch, Carry, Metrics, Params, ValueInput

Logits = Callable[[Model, Params, Any, Any], jax.Array]
"""(model, params, inputs, segment_ids) -> logits, as many as there are targets."""
_MOST_CLASSES = 40
"""More are not drawn: their names would not be legible."""
_WRITTEN = 12
"""Classes up to which each number is written into its cell."""
_GRID = 96
"""Points of a map in each direction."""
_MOST_POINTS = 1000
"""Examples that are drawn into a map."""


class Confusions(Task):
    """Counts confusions instead of a loss.

    Args:
      task: whose evaluation it is.
      logits: finds what the task predicts from.
    """

    metric_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: Any, logits: Logits) -> None:
        super().__init__(config)
        self._logits = logits

    def forward(
        self,
        model: Model,
        params: Params,
        batch: Batch,
        carry: Carry | None,
        *,
        train: bool,
        key: jax.Array | None,
    ) -> tuple[jax.Array, jax.Array, Metrics, Carry | None]:
        """The counts [C, C] of a batch; the loss is 0."""
        del train, key
        logits = self._logits(model, params, batch.inputs, batch.segment_ids)
        counts = count_confusions(logits, batch.targets, batch.loss_weights)
        weight = batch.loss_weights.sum()
        return 0 * weight, weight, {"confusions": (counts, counts)}, carry

    def summarize(
        self, sums: Mapping[str, tuple[Any, Any]], num_bytes: float | None
    ) -> dict[str, Any]:
        """The counts of a split."""
        del num_bytes
        return {"confusions": sums["confusions"][0]}


def draw_confusion(trial: Trial, logits: Logits) -> dict[str, Any]:
    """{"confusion": figure} of a split: a row per class, a column per class it was taken for."""
    names = trial.features["targets"].names()
    if len(names) > _MOST_CLASSES:
        return {}
    # The main process by itself, with its own copy of the parameters.
    task, params = Confusions(trial.config.task, logits), own_params(trial.params)
    counts = trial.evaluate(trial.model, params, task=task)["confusions"]
    return {"confusion": make_confusion_figure(np.asarray(counts), names, trial.split)}


def make_confusion_figure(counts: np.ndarray, names: tuple[str, ...], split: str) -> Any:
    """Shares of each row as shades, with the numbers in the cells where there are few classes."""
    from matplotlib.figure import Figure

    side = 2.5 + 0.45 * len(names)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = np.arange(len(names))
    axes.set_xticks(ticks, names, rotation=45, ha="right", parse_math=False)
    axes.set_yticks(ticks, names, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    right = np.trace(counts) / max(counts.sum(), 1)
    axes.set_title(f"{split}: {counts.sum():,.0f} targets, {right:.1%} right")
    if len(names) <= _WRITTEN:
        for (row, column), count in np.ndenumerate(counts):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, f"{count:,.0f}", ha="center", va="center", color=color)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
    return figure


def draw_map(trial: Trial, logits: Logits) -> dict[str, Any]:
    """{"boundary": figure} where each input is two numbers; {} elsewhere.

    The ground has the colour of the predicted class, paler where its probability is lower; the line
    is where it changes. Points are examples of the split in the colour of their class.
    """
    inputs, split = trial.features["inputs"], trial.data.splits[trial.split]
    lengths = split.lengths("inputs")
    if inputs.input != ValueInput(2) or lengths is None or (lengths != 1).any():
        return {}
    points = split.columns["inputs"].part(split.kept[:_MOST_POINTS], 1).values[:, 0]
    labels = split.columns["targets"].part(split.kept[:_MOST_POINTS], None).values
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.05 * (high - low) + 1e-3
    sides = [
        np.linspace(a, b, _GRID, dtype=np.float32)
        for a, b in zip(low - margin, high + margin, strict=True)
    ]
    grid = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 1, 2)
    find = jax.jit(lambda params, x: jax.nn.softmax(logits(trial.model, params, x, None), axis=-1))
    chances = np.asarray(find(own_params(trial.params), jnp.asarray(grid)))
    scale: Any = inputs
    axes = [scale.decode(np.stack(sides, axis=-1))[:, i] for i in range(2)]
    names = [part.strip() for part in inputs.config.column.split(",")]
    names = names if len(names) == 2 else ["first number", "second number"]
    classes = trial.features["targets"].names()
    figure = make_map(
        chances.reshape(_GRID, _GRID, -1), axes, names, (scale.decode(points), labels), classes
    )
    return {"boundary": figure}


def make_map(
    chances: np.ndarray,
    axes: list[np.ndarray],
    names: list[str],
    points: tuple[np.ndarray, np.ndarray],
    classes: tuple[str, ...],
) -> Any:
    """The regions of classes on a plane.

    Args:
      chances: probabilities [rows, columns, C] at the places of `axes`.
      axes: values of the columns and of the rows.
      names: of both.
      points: examples [n, 2] and their classes.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    plot = figure.add_subplot()
    colors = mpl.colormaps["tab10"](np.arange(len(classes)) % 10)
    best = chances.argmax(axis=-1)
    strength = 0.15 + 0.45 * chances.max(axis=-1, keepdims=True)
    ground = np.concatenate([colors[best][..., :3], strength], axis=-1)
    extent = (axes[0][0], axes[0][-1], axes[1][0], axes[1][-1])
    plot.imshow(ground, origin="lower", extent=extent, aspect="auto", interpolation="bilinear")
    for number in range(len(classes)):
        others = np.delete(chances, number, axis=-1).max(axis=-1)
        ahead = chances[..., number] - others
        if ahead.min() < 0 < ahead.max():
            plot.contour(axes[0], axes[1], ahead, levels=[0.0], colors="black", linewidths=1)
    for number, name in enumerate(classes):
        mine = points[0][points[1] == number]
        plot.scatter(*mine.T, s=12, color=colors[number], edgecolor="black", lw=0.3, label=name)
    plot.set_xlabel(names[0], parse_math=False)
    plot.set_ylabel(names[1], parse_math=False)
    plot.legend(title="true class", loc="upper right")
    return figure
