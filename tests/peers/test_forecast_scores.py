"""CRPS and MASE against gluonts and utilsforecast, where they are installed."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from seqmodels.data.features.windows import EncodedWindows
from seqmodels.tasks.forecast_scores import (
    mase,
    score_forecast,
    season_errors,
    summarize_forecast,
)
from tests.tolerances import TOLERANCE

B, H, C, SEASON = 5, 6, 3, 4
LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)


@pytest.fixture(scope="module")
def case() -> Any:
    """Training steps [T, C], forecasts [B, H, C, Q], targets [B, H, C], and our figures."""
    draw = np.random.default_rng(0)
    steps = np.cumsum(draw.normal(size=(50, C)), axis=0)
    forecast = np.sort(draw.normal(size=(B, H, C, len(LEVELS))), axis=-1).astype(np.float32)
    targets = draw.normal(size=(B, H, C)).astype(np.float32)
    score = jax.jit(lambda *arrays: score_forecast(*arrays, LEVELS))
    sums = jax.device_get(score(forecast, targets, np.ones_like(targets)))
    return steps, forecast, targets, summarize_forecast(sums, LEVELS)


def frame(forecast: np.ndarray, targets: np.ndarray) -> Any:
    """A row per window and step, an id per channel, a column per quantile."""
    pandas = pytest.importorskip("pandas")
    return pandas.concat(
        pandas.DataFrame(
            {
                "unique_id": f"channel {c}",
                "ds": np.arange(B * H),
                "y": targets[..., c].reshape(-1).astype(float),
                **{
                    f"model-{q}": forecast[..., c, n].reshape(-1).astype(float)
                    for n, q in enumerate(LEVELS)
                },
            }
        )
        for c in range(C)
    )


def test_mase_is_that_of_utilsforecast(case: Any) -> None:
    losses = pytest.importorskip("utilsforecast.losses")
    steps, forecast, targets, found = case
    table = frame(forecast, targets)
    rows = [
        {"unique_id": f"channel {c}", "ds": n - len(steps), "y": float(np.float32(steps[n, c]))}
        for c in range(C)
        for n in range(len(steps))
    ]
    train = type(table)(rows)
    wanted = losses.mase(table, ["model-0.5"], seasonality=SEASON, train_df=train)
    column = EncodedWindows(
        steps.astype(np.float32), steps.astype(np.float32), np.array([0]), np.array([50]), 4, 6
    )
    ours = mase(found["mae_by_channel"], season_errors(column, SEASON))
    np.testing.assert_allclose(ours, wanted["model-0.5"].mean(), **TOLERANCE["reference"])


def test_crps_is_twice_the_mean_pinball_loss_of_utilsforecast(case: Any) -> None:
    losses = pytest.importorskip("utilsforecast.losses")
    _, forecast, targets, found = case
    models = {"model": [f"model-{q}" for q in LEVELS]}
    wanted = losses.mqloss(frame(forecast, targets), models, quantiles=np.array(LEVELS))
    np.testing.assert_allclose(found["crps"], 2 * wanted["model"].mean(), **TOLERANCE["reference"])
    scaled = losses.scaled_crps(frame(forecast, targets), models, quantiles=np.array(LEVELS))
    shares = np.abs(targets).mean(axis=(0, 1))  # of each series, whose figures are then averaged
    pinball = [_pinball(forecast[..., c, :], targets[..., c]) for c in range(C)]
    np.testing.assert_allclose(
        np.mean(pinball / shares), scaled["model"].mean(), **TOLERANCE["reference"]
    )


def _pinball(forecast: np.ndarray, targets: np.ndarray) -> float:
    """CRPS of one channel, by our figures."""
    score = jax.jit(lambda *arrays: score_forecast(*arrays, LEVELS))
    one = targets[..., None]
    sums = jax.device_get(score(forecast[:, :, None], one, np.ones_like(one)))
    return summarize_forecast(sums, LEVELS)["crps"]


def test_crps_is_the_mean_quantile_loss_of_gluonts(case: Any) -> None:
    metrics = pytest.importorskip("gluonts.evaluation.metrics")
    _, forecast, targets, found = case
    wanted = [
        metrics.quantile_loss(targets, forecast[..., n], q) / targets.size
        for n, q in enumerate(LEVELS)
    ]
    np.testing.assert_allclose(found["crps"], np.mean(wanted), **TOLERANCE["reference"])


def test_mase_is_that_of_gluonts(case: Any) -> None:
    metrics = pytest.importorskip("gluonts.evaluation.metrics")
    steps, forecast, targets, found = case
    middle = forecast[..., len(LEVELS) // 2]
    wanted = []
    for c in range(C):
        past = steps[:, c].astype(np.float32)
        scale = metrics.calculate_seasonal_error(past, seasonality=SEASON)
        wanted.append(metrics.mase(targets[..., c], middle[..., c], scale))
    column = EncodedWindows(
        steps.astype(np.float32), steps.astype(np.float32), np.array([0]), np.array([50]), 4, 6
    )
    ours = mase(found["mae_by_channel"], season_errors(column, SEASON))
    np.testing.assert_allclose(ours, np.mean(wanted), **TOLERANCE["reference"])
