"""Forecasts: figures, baselines, recursion, and a run from the data to its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.features import Normalisation
from seqmodels.config.files import load_config
from seqmodels.config.forecasting import (
    ForecastError,
    ForecastingConfig,
    Strategy,
    WindowLinearConfig,
    WindowScale,
)
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.validate import validate
from seqmodels.data.features.windows import EncodedWindows
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.tasks.forecast_scores import (
    judge,
    last_season,
    last_value,
    mase,
    ridge,
    score_forecast,
    season_errors,
    summarize_forecast,
)
from seqmodels.tasks.forecasting import Forecasting
from seqmodels.types import Batch, DataSpec, ValueInput, ValueOutput
from tests.tolerances import TOLERANCE

B, L, H, C, Q = 3, 6, 4, 2, 3
LEVELS = (0.1, 0.5, 0.9)


def windows(steps: np.ndarray, ends: list[int] | None = None, length: int = L) -> EncodedWindows:
    """All windows of series that follow each other in `steps`."""
    starts, first = [], 0
    for end in ends or [len(steps)]:
        starts.append(np.arange(first, end - length - H + 1))
        first = end
    filled = np.nan_to_num(steps).astype(np.float32)
    places = np.concatenate(starts), np.array(ends or [len(steps)])
    return EncodedWindows(filled, steps.astype(np.float32), *places, length, length + H)


def figures(forecast: Any, targets: Any, weights: Any, levels: tuple[float, ...]) -> Any:
    """Figures of one batch."""
    score = jax.jit(lambda *arrays: score_forecast(*arrays, levels))
    return summarize_forecast(jax.device_get(score(forecast, targets, weights)), levels)


def test_figures_are_the_definitions_and_skip_what_is_missing() -> None:
    draw = np.random.default_rng(0)
    forecast = np.sort(draw.normal(size=(B, H, C, Q)), axis=-1).astype(np.float32)
    targets = draw.normal(size=(B, H, C)).astype(np.float32)
    weights = (draw.random((B, H, C)) < 0.7).astype(np.float32)
    weights[0, -1] = 1
    spoiled = np.where(weights > 0, targets, np.nan).astype(np.float32)
    found = figures(forecast, spoiled, weights, LEVELS)
    seen, error = weights > 0, targets - forecast[..., 1]
    close = lambda name, value: np.testing.assert_allclose(
        found[name], value, **TOLERANCE["reference"], err_msg=name
    )
    close("mse", (error[seen] ** 2).mean())
    close("mae", np.abs(error[seen]).mean())
    close("mae_by_channel", [np.abs(error[..., c][seen[..., c]]).mean() for c in range(C)])
    close("mse_by_step", [(error[:, h][seen[:, h]] ** 2).mean() for h in range(H)])
    whole = seen[:, -1].all(axis=-1)
    close("end_error", np.sqrt((error[whole, -1] ** 2).sum(axis=-1)).mean())
    losses = []
    for n, q in enumerate(LEVELS):
        over = targets[seen] - forecast[..., n][seen]
        losses.append(np.where(over > 0, q * over, (q - 1) * over))
    close("crps", 2 * np.mean(losses))
    shares = [(targets[seen] <= forecast[..., n][seen]).mean() for n in range(Q)]
    close("coverage", shares)
    close("coverage_error", np.abs(np.array(shares) - LEVELS).mean())


def test_baselines_are_their_definitions() -> None:
    x = np.arange(24.0).reshape(2, 6, 2)
    assert last_value(3)(x)[1, :, 0].tolist() == [22] * 3
    assert last_season(5, 2)(x)[0, :, 1].tolist() == [9, 11, 9, 11, 9]
    draw = np.random.default_rng(0)
    steps = np.cumsum(draw.normal(size=(40, C)), axis=0)
    column = windows(steps)
    rows = np.stack([steps[i : i + L + H, c] for i in range(31) for c in range(C)])
    rows = (rows.astype(np.float32) - rows[:, L - 1 : L].astype(np.float32)).astype(float)
    a, b = rows[:, :L], rows[:, L:]
    weights = np.linalg.lstsq(np.vstack([a, np.eye(L)]), np.vstack([b, np.zeros((L, H))]))[0]
    asked = steps[None, 3 : 3 + L]
    expected = (asked[0] - asked[0, -1:]).T @ weights + asked[0, -1][:, None]
    np.testing.assert_allclose(ridge(column)(asked)[0].T, expected, rtol=1e-4, atol=1e-4)
    gone = steps.copy()
    gone[20, 0] = np.nan  # windows with it as a target neither train nor count
    assert np.isfinite(ridge(windows(gone))(asked)).all()
    sums = judge(windows(gone), last_value(H))
    assert sums["mse"][1] == 31 * H * C - 4


def test_judging_a_baseline_is_scoring_a_model() -> None:
    steps = np.random.default_rng(1).normal(size=(30, C))
    steps[17, 1] = np.nan
    column = windows(steps)
    values = column.part(np.arange(len(column)), None).values
    inputs, targets = np.split(values, [L], axis=1)
    weights = (~np.isnan(targets)).astype(np.float32)
    forecast = np.asarray(last_value(H)(inputs))[..., None]
    found = figures(forecast, targets, weights, ())
    for name, value in summarize_forecast(judge(column, last_value(H)), ()).items():
        np.testing.assert_allclose(found[name], value, **TOLERANCE["reference"], err_msg=name)


def test_mase_is_in_errors_of_the_season_and_crosses_no_border() -> None:
    steps = np.array([[0.0, 5], [2, 5], [1, 5], [100, 5], [104, 5], [101, 5]])
    column = windows(steps, [3, 6], length=1)
    scale = season_errors(column, 2)
    assert scale.tolist() == [1.0, 0.0]
    assert mase([3.0, 1.0], scale) == 3.0  # a channel that repeats itself has no unit
    assert mase([None, None], scale) is None


X = np.random.default_rng(2).normal(size=(B, L, C)).astype(np.float32)
GRU = RecurrentConfig(cell="gru", model_dim=3, hidden_dim=5)


def make(config: ForecastingConfig, model_config: Any) -> tuple[Any, Any, Any]:
    """Task, model, and parameters away from the first ones."""
    channels = 1 if config.separate_channels else C
    horizon = 1 if config.strategy is Strategy.RECURSIVE else H
    outputs = ValueOutput(horizon, channels, max(1, len(config.levels())))
    model = build_model(model_config, DataSpec(ValueInput(channels, L), outputs))
    params = nn.unbox(jax.jit(lambda key: init_params(model, key))(jax.random.key(0)))
    draw = np.random.default_rng(3)
    move = lambda p: p + 0.3 * draw.normal(size=p.shape).astype(np.float32)
    return Forecasting(config), model, jax.tree.map(move, params)


def forecaster(config: ForecastingConfig, model_config: Any) -> Any:
    """Inputs to forecasts [B, H, C, Q]."""
    task, model, params = make(config, model_config)
    return jax.jit(lambda x: task.forecast(model, params, x, H))


def test_separate_channels_are_forecast_one_by_one() -> None:
    forecast = forecaster(ForecastingConfig(separate_channels=True), GRU)
    whole = forecast(X)
    assert whole.shape == (B, H, C, 1)
    for channel in range(C):
        alone = forecast(X[..., channel : channel + 1])
        np.testing.assert_allclose(
            whole[:, :, channel], alone[:, :, 0], **TOLERANCE["chunking"], err_msg=str(channel)
        )


def test_a_window_is_scaled_and_scaled_back() -> None:
    """Moving all values moves the forecast; with a deviation, stretching stretches it."""
    cases = ((WindowScale.LAST_VALUE, 1), (WindowScale.MEAN_DEVIATION, 50), (WindowScale.NONE, 1))
    for scale, stretch in cases:
        forecast = forecaster(ForecastingConfig(window_scale=scale), WindowLinearConfig())
        expected, found = stretch * forecast(X) + 7, forecast(stretch * X + 7)
        wrong = np.abs(found - expected).max() / stretch
        assert bool(wrong < 1e-3) is (scale is not WindowScale.NONE), scale


def test_a_recursive_forecast_reads_its_own_and_training_reads_the_truth() -> None:
    config = ForecastingConfig(strategy=Strategy.RECURSIVE, window_scale=WindowScale.LAST_VALUE)
    task, model, params = make(config, GRU)
    found = jax.jit(lambda x: task.forecast(model, params, x, H))(X)
    truth = np.random.default_rng(5).normal(size=(B, H, C)).astype(np.float32)
    batch = Batch(X, truth, np.ones_like(truth))
    train = jax.jit(lambda b: task.forward(model, params, b, None, train=True, key=None)[2])
    last = X[:, -1]

    @jax.jit
    def run(x: Any) -> Any:
        """The step after each, of differences from the last value of the window."""
        features, _ = model.apply({"params": params}, x - last[:, None], train=False)
        return model.apply({"params": params}, features, method="readout")[:, :, 0, :, 0]

    own, errors = X, []
    observed = np.asarray(run(np.concatenate([X, truth], axis=1))) + last[:, None]
    for n in range(H):
        padded = np.concatenate([own, np.zeros((B, H - n, C), np.float32)], axis=1)
        following = np.asarray(run(padded))[:, L - 1 + n] + last
        np.testing.assert_allclose(found[:, n, :, 0], following, **TOLERANCE["decoding"])
        errors.append(observed[:, L - 1 + n] - truth[:, n])
        own = np.concatenate([own, following[:, None]], axis=1)
    total, weight = train(batch)["mse"]
    np.testing.assert_allclose(total / weight, np.mean(np.square(errors)), rtol=1e-4)


def test_the_loss_is_the_one_asked_for() -> None:
    targets = np.random.default_rng(4).normal(size=(B, H, C)).astype(np.float32)
    batch = Batch(X, targets, np.ones_like(targets))
    for config, name in (
        (ForecastingConfig(), "mse"),
        (ForecastingConfig(error=ForecastError.ABSOLUTE), "mae"),
        (ForecastingConfig(quantiles="0.1,0.5,0.9"), "crps"),
    ):
        task, model, params = make(config, WindowLinearConfig())
        loss, weight, metrics, _ = jax.jit(
            lambda b, task=task, model=model, params=params: task.forward(
                model, params, b, None, train=False, key=None
            )
        )(batch)
        assert loss == metrics[name][0] == metrics["loss"][0] and weight == B * H * C, name


MISTAKES = [
    ({"task.quantiles": "0.1,0.9"}, "--config.task.quantiles=0.1,0.9: must be levels between"),
    ({"task.quantiles": "0.5,x"}, "must be levels between 0 and 1, rising, with 0.5 in the"),
    ({"task.season": 169}, "--config.task.season=169: must be at most data.inputs.input_length"),
    ({"task.strategy": Strategy.RECURSIVE, "task.quantiles": None}, "must be direct: the model"),
    ({"task.strategy": Strategy.RECURSIVE}, "need task.strategy=direct, or none"),
    ({"data.time_column": "t"}, "data.time_column=t: is only for data.name=series_file"),
    ({"data.inputs.column": "laod"}, "is not a column of seasonal"),
    ({"data.inputs.horizon": 0}, "--config.data.inputs.horizon=0: must be 1 or more"),
    ({"model.average_length": 4}, "--config.model.average_length=4: must be odd"),
]


def test_mistakes_in_a_config_are_one_line() -> None:
    for changes, expected in MISTAKES:
        config = load_config("demo_forecast")
        for name, value in changes.items():
            *path, field = name.split(".")
            section: Any = config
            for part in path:
                section = getattr(section, part)
            setattr(section, field, value)
        with pytest.raises(UserError) as raised:
            validate(config)
        assert expected in str(raised.value), raised.value


@pytest.mark.grid
def test_baselines_of_etth1_are_the_published_ones() -> None:
    """1.294 and .512 (last value, last day), and .370 of the ridge: to .002."""
    from seqmodels.data.datasets.published_series import ETTh1
    from tests.opening import baseline, load

    config = load_config("etth1_linear")
    if ETTh1.files.find(None, Path("nowhere")) is None:
        pytest.skip("needs ETTh1")
    assert config.data.name == "etth1" and vars(config.data)["inputs"].normalisation is (
        Normalisation.STANDARD
    )
    data = load(config)
    assert {name: len(x.kept) for name, x in data.splits.items()}["test"] == 2880 - 96 + 1
    found = baseline(data, "test", config)
    rows = [*found["beside"], found]
    np.testing.assert_allclose([row["mse"] for row in rows], [1.2944, 0.5122, 0.3702], atol=0.002)
    np.testing.assert_allclose([rows[0]["mae"], found["mae"]], [0.7132, 0.3914], atol=0.002)
