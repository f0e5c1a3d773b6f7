"""The next steps of a series, from a window of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from seqmodels.config.forecasting import ForecastError, Picture, Strategy, WindowScale
from seqmodels.decoding.unroll import unroll_values
from seqmodels.protocols import Answerer, Example, Features, Given, Model, Part, Trial
from seqmodels.tasks.classification import read_whole
from seqmodels.tasks.forecast_answers import ForecastAnswerer, save_forecast
from seqmodels.tasks.forecast_pictures import draw_errors, draw_path, draw_windows
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
from seqmodels.tasks.task import Task, figures_table, own_params
from seqmodels.types import Batch, Carry, DataSpec, Metrics, Params, ValueInput, ValueOutput

_EPSILON = 1e-5
"""Added to the variance of a window."""
_DRAWN = 3  # windows of a picture
_SHOWN = 12  # inputs of a row as text


class Forecasting(Task):
    """The loss is per value, in the units that the feature scales to.

        loss = sum_bhc w_bhc l(y_bhc - f_bhc) / sum_bhc w_bhc

    l is the square, the absolute value or, with quantiles, twice the mean pinball loss, which
    estimates CRPS. The figures are of the middle quantile. A missing target has weight 0.
    """

    metric_names: ClassVar[tuple[str, ...]] = ("loss", "mse", "mae")
    rate_unit: ClassVar[str] = "value"

    def make_spec(self, features: Features) -> DataSpec:
        """The channels, or one of them, and the horizon, or one step."""
        inputs, config = features["inputs"].input, self.config
        channels = 1 if config.separate_channels else inputs.num_features
        horizon = features["inputs"].config.horizon
        horizon = horizon if config.strategy is Strategy.DIRECT else 1
        outputs = ValueOutput(horizon, channels, max(1, len(config.levels())))
        return DataSpec(ValueInput(channels, inputs.length), outputs)

    def make_batch(self, parts: Mapping[str, Part], features: Features) -> Batch:
        """Inputs [b, L, C], and targets and weights [b, H, C]; a missing target is the value
        before it, with weight 0."""
        length = features["inputs"].config.input_length
        values, mask = parts["inputs"].values, parts["inputs"].mask
        missing = np.isnan(values)
        if missing.any():
            values = values.copy()
            for step in range(length, values.shape[1]):
                values[:, step] = np.where(missing[:, step], values[:, step - 1], values[:, step])
        inputs, targets = np.split(values, [length], axis=1)
        weights = (~missing[:, length:]).astype(np.float32) * mask[:, None, None]
        return Batch(inputs, targets, weights)

    def show(self, batch: Batch, row: int, features: Features) -> str:
        """The last inputs and the targets of each channel, in the units of the data."""
        if not batch.loss_weights[row].any():
            return "(padding)"
        feature, length = features["inputs"], len(batch.inputs[row])
        known = np.where(batch.loss_weights[row] > 0, batch.targets[row], np.nan)
        read, asked = (
            feature.show(x, None).split("\n") for x in (batch.inputs[row, -_SHOWN:], known)
        )
        cut = ".. " if length > _SHOWN else ""
        pairs = [(*x.split(": "), y.partition(": ")[2]) for x, y in zip(read, asked, strict=True)]
        return "\n".join(f"{name}: {cut}{before} -> {after}" for name, before, after in pairs)

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
        """Runs the model over windows; see `Task.forward`.

        Where `train` is False the metrics have all sums of `score_forecast`. In training with
        task.strategy=recursive they are those of one step, after the observed ones.
        """
        rngs = {} if key is None else {"dropout": key}
        inputs, targets, weights = batch.inputs, batch.targets, batch.loss_weights
        if train and self.config.strategy is Strategy.RECURSIVE:
            found = self._follow(model, params, inputs, targets, rngs)
        else:
            horizon = targets.shape[1]
            found = self.forecast(model, params, inputs, horizon, train=train, rngs=rngs)
        metrics = score_forecast(found, targets, weights, self.config.levels())
        name = "mse" if self.config.error is ForecastError.SQUARED else "mae"
        metrics["loss"] = metrics["crps" if self.config.levels() else name]
        if train:
            metrics = {name: metrics[name] for name in self.metric_names}
        return *metrics["loss"], metrics, carry

    def forecast(
        self,
        model: Model,
        params: Params,
        inputs: Float[Array, "B L C"],
        horizon: int,
        *,
        train: bool = False,
        rngs: dict[str, jax.Array] | None = None,
    ) -> Float[Array, "B H C Q"]:
        """Scaled forecasts of windows, quantiles in order."""
        x, shift, scale = self._enter(inputs)
        if self.config.strategy is Strategy.RECURSIVE:
            found = unroll_values(model, params, x, horizon)[..., None]
        else:
            found, _ = read_whole(model, params, x, None, train=train, rngs=rngs)
        return self._leave(found, inputs.shape[2], shift, scale)

    def _follow(
        self,
        model: Model,
        params: Params,
        inputs: Float[Array, "B L C"],
        targets: Float[Array, "B H C"],
        rngs: dict[str, jax.Array],
    ) -> Float[Array, "B H C 1"]:
        """Forecasts of one step each, after the observed values (teacher forcing)."""
        _, shift, scale = self._enter(inputs)
        horizon = targets.shape[1]
        observed = (jnp.concatenate([inputs, targets], axis=1)[:, :-1] - shift) / scale
        variables = {"params": params}
        features, _ = model.apply(variables, self._split(observed), train=True, rngs=rngs)
        found = model.apply(variables, features[:, -horizon:], method="readout")
        return self._leave(found[:, :, 0], inputs.shape[2], shift, scale)

    def _enter(self, inputs: Float[Array, "B L C"]) -> tuple[Array, Array, Array]:
        """Scaled windows, as the model reads them, and shift and scale [B, 1, C] of each."""
        shift, scale = jnp.zeros_like(inputs[:, :1]), jnp.ones_like(inputs[:, :1])
        match self.config.window_scale:
            case WindowScale.LAST_VALUE:
                shift = inputs[:, -1:]
            case WindowScale.MEAN_DEVIATION:
                shift = inputs.mean(axis=1, keepdims=True)
                scale = jnp.sqrt(inputs.var(axis=1, keepdims=True) + _EPSILON)
        return self._split((inputs - shift) / scale), shift, scale

    def _split(self, x: Float[Array, "B T C"]) -> Float[Array, "rows T D"]:
        """With separate channels a row for each, [B C, T, 1]."""
        if not self.config.separate_channels:
            return x
        return jnp.swapaxes(x, 1, 2).reshape(-1, x.shape[1], 1)

    def _leave(
        self, found: Float[Array, "rows H D Q"], channels: int, shift: Array, scale: Array
    ) -> Float[Array, "B H C Q"]:
        """Undoes `_enter`."""
        if self.config.separate_channels:
            rows, horizon, _, levels = found.shape
            found = found.reshape(rows // channels, channels, horizon, levels)
            found = jnp.swapaxes(found, 1, 2)
        return found * scale[..., None] + shift[..., None]

    def summarize(
        self, sums: Mapping[str, tuple[Any, Any]], num_bytes: float | None
    ) -> dict[str, Any]:
        """Figures of `summarize_forecast`, loss, and num_targets, the number of values."""
        del num_bytes
        loss, targets = sums["loss"]
        figures = {"loss": float(loss / targets), "num_targets": int(targets)}
        return figures | summarize_forecast(sums, self.config.levels())

    def baseline(self, trial: Trial) -> dict[str, Any]:
        """Figures of the closed-form ridge; those of the last value and the last season beside."""
        train, asked = (trial.data.splits[s].columns["inputs"] for s in ("train", trial.split))
        season, horizon = self.config.season, trial.features["inputs"].config.horizon
        scale = season_errors(train, season)
        rows = []
        forecasts = {"last value": last_value(horizon)}
        if season > 1:  # of a season of one step it is the last value
            forecasts[f"last season of {season}"] = last_season(horizon, season)
        forecasts["ridge"] = ridge(train)
        for name, forecast in forecasts.items():
            sums = judge(asked, forecast)
            figures = summarize_forecast(sums, ())
            squared = self.config.error is ForecastError.SQUARED and not self.config.levels()
            loss = figures["mse" if squared else "mae"]
            # The CRPS of a forecast of one value is its absolute error.
            crps = {"crps": figures["mae"]} if self.config.levels() else {}
            own = {"mase": mase(figures["mae_by_channel"], scale), **crps}
            targets = {"num_targets": int(sums["mse"][1])}
            rows.append({"model": name, "loss": loss, **figures, **own, **targets})
        return {**rows[-1], "beside": rows[:-1]}

    def evaluate_more(self, trial: Trial) -> dict[str, Any]:
        """mase, where there is a training split, and the protocol in words."""
        splits, figures = trial.data.splits, trial.figures
        found: dict[str, Any] = {"protocol": self._protocol(trial)}
        if "train" in splits and figures:
            scale = season_errors(splits["train"].columns["inputs"], self.config.season)
            found["mase"] = mase(figures["mae_by_channel"], scale)
        return found

    def _protocol(self, trial: Trial) -> str:
        feature: Any = trial.features["inputs"]
        windows = len(trial.data.splits[trial.split].kept)
        count = len(feature.channels)
        return (
            f"all {windows:,} windows of the {trial.split} split, {feature.config.input_length} "
            f"steps to {feature.config.horizon}, inputs from before the split where it continues a "
            f"series; values scaled by the training split ({feature.config.normalisation}); means "
            f"over windows, steps and {count} channel{'s' * (count != 1)}; season of "
            f"{self.config.season}"
        )

    def tables(self, result: dict[str, Any], unit: str) -> list[Any]:
        """The baselines and the run, and the protocol below."""
        # The loss is one of the others; the end of a path is what it is about.
        is_path = self.config.picture is Picture.PATH
        shown = [m for m in self.config.metrics if m.shown or (m.name == "end_error" and is_path)]
        metrics = tuple(dataclasses.replace(m, further=False, shown=True) for m in shown)
        table = figures_table(result, metrics, unit)
        table.title = f"{result['split']}, step {result['step']}; scaled values"
        table.caption = result.get("protocol")
        return [table]

    def draw(self, trial: Trial, stem: Path) -> list[Path]:
        """Errors by step, and forecasts of a few windows: a chart, or a path that moves."""
        split, feature = trial.data.splits[trial.split], trial.features["inputs"]
        places = np.linspace(0, len(split.kept) - 1, _DRAWN).round().astype(int)
        windows = split.columns["inputs"].part(split.kept[places], None).values
        inputs, targets = np.split(windows, [feature.config.input_length], axis=1)
        found = jax.jit(lambda p, x: self.forecast(trial.model, p, x, feature.config.horizon))
        forecast = np.asarray(found(own_params(trial.params), jnp.asarray(inputs)))
        decode: Any = feature.decode  # type: ignore[attr-defined]
        names: Any = feature.channels  # type: ignore[attr-defined]
        quantiles = np.moveaxis(decode(np.moveaxis(forecast, -1, 0)), 0, -1)  # [n, H, C, Q]
        shown = decode(inputs), decode(targets), quantiles
        drawn = [draw_errors(trial.figures, stem.with_name(f"{stem.name}-errors.png"))]
        if self.config.picture is Picture.PATH:
            first = decode(inputs)[0], decode(targets)[0], quantiles[0]
            return [*drawn, draw_path(first, stem.with_name(f"{stem.name}-path.gif"))]
        path = stem.with_name(f"{stem.name}-forecasts.png")
        return [*drawn, draw_windows(shown, names, self.config.levels(), path)]

    def example(
        self, model: Model, params: Params, features: Features, config: Any, given: Given
    ) -> Example:
        """The last window of a file as the model reads it; of separate channels the first."""
        asked = self.answerer(model, params, features, config, 0, 1).read(given.text)
        x, _, _ = self._enter(jnp.asarray(asked.inputs[None]))
        empty = np.zeros((1, 1), np.float32)
        steps = [str(n - len(asked.inputs)) for n in range(len(asked.inputs))]
        return Example(Batch(np.asarray(x[:1]), empty, empty), steps)

    def answerer(
        self,
        model: Model,
        params: Params,
        features: Features,
        config: Any,
        settings: Any,
        batch_size: int,
    ) -> Answerer:
        """The forecast of each file."""
        horizon = features["inputs"].config.horizon
        forecast = jax.jit(lambda p, x: self.forecast(model, p, x, horizon))
        return ForecastAnswerer(
            lambda x: np.asarray(forecast(params, jnp.asarray(x))),
            features["inputs"],
            config,
            settings,
            batch_size,
        )

    def save_answer(self, encoded: Any, answer: dict[str, Any], stem: Path) -> list[Path]:
        """The forecast as CSV, and its chart; of a path also a GIF."""
        return save_forecast(encoded, answer, stem, self.config)
