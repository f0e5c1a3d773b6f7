"""Figures of forecasts, and the forecasts that need no training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from seqmodels.data.features.windows import EncodedWindows
from seqmodels.types import Metrics

_ROWS = 4096  # windows that a baseline forecasts at once
_PENALTY = 1.0
"""Of the squared weights of the ridge; the sum of squared errors is over all windows."""


def pinball(
    forecast: Float[Array, "*rows Q"], targets: Float[Array, "*rows"], levels: Sequence[float]
) -> Float[Array, "*rows"]:
    """Twice the mean pinball loss of the quantiles, which estimates CRPS.

        2 / Q sum_q max(q (y - f_q), (q - 1) (y - f_q))

    With many even levels it tends to CRPS (Gneiting and Ranjan, 2011); of the median alone it is
    the absolute error.
    """
    error = targets[..., None] - forecast
    q = jnp.asarray(levels, error.dtype).reshape(*[1] * (error.ndim - 1), -1)
    return 2 * jnp.maximum(q * error, (q - 1) * error).mean(axis=-1)


def score_forecast(
    forecast: Float[Array, "B H C Q"],
    targets: Float[Array, "B H C"],
    weights: Float[Array, "B H C"],
    levels: Sequence[float],
) -> Metrics:
    """Figures of a batch as (sum, weight) pairs; a target of weight 0 may be anything.

    Returns:
      mse and mae of the middle quantile; `channels`, its absolute errors by channel; `steps`, its
      squared errors by step of the horizon; `ends`, the distance over all channels at the last
      step; and with levels crps and `below`, the targets that are not above each quantile.
    """
    seen = weights > 0
    targets = jnp.where(seen, targets, 0.0)
    middle = forecast[..., forecast.shape[-1] // 2]
    error = jnp.where(seen, targets - middle, 0.0)
    weight = weights.sum()
    channels = (jnp.abs(error) * weights).sum(axis=(0, 1)), weights.sum(axis=(0, 1))
    whole = weights[:, -1].min(axis=-1)  # a window whose last step has every channel
    ends = jnp.sqrt((error[:, -1] ** 2).sum(axis=-1))
    metrics = {
        "mse": ((error**2 * weights).sum(), weight),
        "mae": (channels[0].sum(), weight),
        "channels": channels,
        "steps": ((error**2 * weights).sum(axis=(0, 2)), weights.sum(axis=(0, 2))),
        "ends": ((ends * whole).sum(), whole.sum()),
    }
    if levels:
        losses = jnp.where(seen, pinball(forecast, targets, levels), 0.0)
        below = targets[..., None] <= forecast
        counts = (below * weights[..., None]).sum(axis=(0, 1, 2))
        metrics["crps"] = (losses * weights).sum(), weight
        metrics["below"] = counts, jnp.broadcast_to(weight[None], counts.shape)
    return metrics


def summarize_forecast(
    sums: Mapping[str, tuple[Any, Any]], levels: Sequence[float]
) -> dict[str, Any]:
    """Figures of the sums of `score_forecast` over a split.

    Returns:
      mse, mae, end_error, mae_by_channel, mse_by_step; with levels crps, coverage (the share of
      targets that are not above each quantile) and coverage_error, its mean distance from the
      levels.
    """

    def share(pair: tuple[Any, Any]) -> list[float | None]:
        found = zip(*(np.atleast_1d(x).tolist() for x in pair), strict=True)
        return [a / b if b else None for a, b in found]

    figures: dict[str, Any] = {name: share(sums[name])[0] for name in ("mse", "mae")}
    figures["end_error"] = share(sums["ends"])[0]
    figures["mae_by_channel"] = share(sums["channels"])
    figures["mse_by_step"] = share(sums["steps"])
    if levels:
        figures["crps"] = share(sums["crps"])[0]
        figures["coverage"] = share(sums["below"])
        off = np.abs(np.array(figures["coverage"], float) - np.array(levels))
        figures["coverage_error"] = float(off.mean())
    return figures


def season_errors(column: EncodedWindows, season: int) -> Float[np.ndarray, " C"]:
    """Mean absolute difference of values one season apart, by channel: the unit of MASE.

    Hyndman and Koehler, 2006. Of several series, one after the other, the differences over their
    borders do not count.
    """
    pieces = np.split(column.steps.astype(float), column.ends[:-1])
    steps = [np.abs(piece[season:] - piece[:-season]) for piece in pieces]
    return np.nanmean(np.concatenate(steps), axis=0)


def mase(errors: Sequence[float | None], scale: Float[np.ndarray, " C"]) -> float | None:
    """Mean over the channels of the absolute error in units of `scale`; None where none has any."""
    pairs = [(e, s) for e, s in zip(errors, scale.tolist(), strict=True) if e is not None and s > 0]
    return sum(e / s for e, s in pairs) / len(pairs) if pairs else None


Forecast = Callable[[Float[np.ndarray, "b L C"]], Float[np.ndarray, "b H C"]]
"""Inputs to forecasts."""


def last_value(horizon: int) -> Forecast:
    """Repeats the last value."""
    return lambda inputs: np.repeat(inputs[:, -1:], horizon, axis=1)


def last_season(horizon: int, season: int) -> Forecast:
    """Repeats the last `season` steps."""
    return lambda inputs: inputs[:, -season:][:, np.arange(horizon) % season]


def ridge(column: EncodedWindows) -> Forecast:
    """Linear map of the differences from the last value, one for all channels, in closed form.

        y - x_L = (x - x_L) W,   W = (X^T X + I)^-1 X^T Y

    X and Y have a row for each window of the training split and each channel, without those in
    which a target is missing.
    """
    length, size = column.input_length, column.size
    moments = np.zeros((length, length)), np.zeros((length, size - length))
    for windows in _windows(column):
        shifted = (windows - windows[:, length - 1 : length]).swapaxes(1, 2).reshape(-1, size)
        x, y = np.split(shifted[~np.isnan(shifted).any(axis=1)].astype(float), [length], axis=1)
        moments[0][...] += x.T @ x
        moments[1][...] += x.T @ y
    weights = np.linalg.solve(moments[0] + _PENALTY * np.eye(length), moments[1])

    def forecast(inputs: np.ndarray) -> np.ndarray:
        last = inputs[:, -1:]
        return np.einsum("blc,lh->bhc", inputs - last, weights) + last

    return forecast


def judge(column: EncodedWindows, forecast: Forecast) -> dict[str, tuple[Any, Any]]:
    """The sums of `score_forecast`, without those of quantiles, over all windows of a split."""
    sums: dict[str, Any] = {}
    for windows in _windows(column):
        inputs, targets = np.split(windows.astype(float), [column.input_length], axis=1)
        seen = ~np.isnan(targets)
        error = np.where(seen, targets - forecast(inputs), 0.0)
        whole = seen[:, -1].all(axis=-1)
        ends = np.sqrt((error[:, -1] ** 2).sum(axis=-1)) * whole
        found = {
            "mse": ((error**2).sum(), seen.sum()),
            "mae": (np.abs(error).sum(), seen.sum()),
            "channels": (np.abs(error).sum(axis=(0, 1)), seen.sum(axis=(0, 1))),
            "steps": ((error**2).sum(axis=(0, 2)), seen.sum(axis=(0, 2))),
            "ends": (ends.sum(), whole.sum()),
        }
        for name, pair in found.items():
            sums[name] = tuple(a + b for a, b in zip(sums.get(name, (0, 0)), pair, strict=True))
    return sums


def _windows(column: EncodedWindows) -> Iterator[Float[np.ndarray, "b L+H C"]]:
    for first in range(0, len(column), _ROWS):
        yield column.part(np.arange(first, min(first + _ROWS, len(column))), None).values
