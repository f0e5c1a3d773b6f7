"""Forecasts of a user's files, as JSON, tables and pictures."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.config.forecasting import ForecastingConfig, Picture
from seqmodels.data.datasets.series import Series
from seqmodels.data.datasets.series_file import ENDINGS, next_time, read_series
from seqmodels.data.features.windows import Windows, fill
from seqmodels.files import find_file_of, replacing
from seqmodels.tasks.forecast_pictures import draw_path, draw_windows

_MIDNIGHT = " 00:00:00"


@dataclasses.dataclass(frozen=True)
class Asked:
    """A file that a forecast is asked for.

    Attributes:
      inputs: the last steps that are read, [L, C], scaled.
      past: the same in the units of the data; NaN is a missing value.
      truth: the steps after them that are held out, [h, C]; h may be 0.
      times: of the horizon, as text; None where the file has none.
    """

    inputs: np.ndarray
    past: np.ndarray
    truth: np.ndarray
    times: list[str] | None


class ForecastAnswerer:
    """{"file", "channels", "times", "forecast": [[value of each channel] of each step], ..}.

    With quantiles, "quantiles" has the same for each level; with steps held out, "mae" is their
    mean absolute error, in the units of the data. "times" are there where the file has them.
    """

    def __init__(
        self,
        forecast: Callable[[np.ndarray], np.ndarray],
        feature: Any,
        config: Any,
        hold_out: int,
        batch_size: int,
    ) -> None:
        self._forecast, self._config, self._hold_out = forecast, config, hold_out
        self._feature: Windows = feature
        self.batch_size = batch_size

    def read(self, given: str) -> Asked:
        """Reads the last steps of a file, as the run's own files are read.

        Raises:
          UserError: the file has too few steps, or is at fault.
        """
        feature, size = self._feature, self._feature.config.input_length
        columns = ",".join(feature.channels)
        series = read_series(
            find_file_of("--input", given, ENDINGS), columns, self._config.data, "--input"
        )
        needed = size + self._hold_out
        if len(series.values) < needed:
            held_out = f" and --hold_out={self._hold_out}" if self._hold_out else ""
            raise UserError(
                f"{len(series.values)} steps are too few: the run reads "
                f"data.inputs.input_length={size}{held_out}"
            )
        end = len(series.values) - self._hold_out
        past, truth = series.values[end - size : end], series.values[end:]
        times = _times_after(series, end, feature.config.horizon)
        return Asked(fill(feature.scale(past)), past, truth[: feature.config.horizon], times)

    def __call__(self, given: Sequence[str], encoded: Sequence[Any]) -> list[dict[str, Any]]:
        """Forecasts."""
        feature, levels = self._feature, self._config.task.levels()
        part = feature.batch([one.inputs for one in encoded], self.batch_size)
        found = feature.decode(np.moveaxis(self._forecast(part.values), -1, 0))  # [Q, B, H, C]
        answers = []
        for row, (name, asked) in enumerate(zip(given, encoded, strict=True)):
            own = found[:, row]
            middle = own[len(own) // 2]
            answer: dict[str, Any] = {feature.key: name, "channels": list(feature.channels)}
            if asked.times is not None:
                answer["times"] = asked.times
            answer["forecast"] = middle.tolist()
            if levels:
                pairs = zip(levels, own.tolist(), strict=True)
                answer["quantiles"] = {f"{level:g}": values for level, values in pairs}
            error = np.abs(asked.truth - middle[: len(asked.truth)])
            if (~np.isnan(error)).any():
                answer["mae"] = float(np.nanmean(error))
            answers.append(answer)
        return answers


def _times_after(series: Series, end: int, horizon: int) -> list[str] | None:
    """The times of the steps from `end` on, as text."""
    if series.times is None or len(series.times) < 2:
        return None
    times, following = list(series.times[:end]), next_time(series.times)
    for _ in range(horizon):
        times.append(following(times[-1]))
    return [_show_time(time, series.times) for time in times[end:]]


def _show_time(time: Any, times: Sequence[Any]) -> str:
    """A number, a date, or a date with a time where any of them has one."""
    text = str(time)
    return text.removesuffix(_MIDNIGHT) if all(str(x).endswith(_MIDNIGHT) for x in times) else text


def save_forecast(
    asked: Asked, answer: dict[str, Any], stem: Path, config: ForecastingConfig
) -> list[Path]:
    """Writes STEM-forecast.csv and .png, of a path also .gif; returns the paths.

    Raises:
      UserError: a file cannot be written.
    """
    stem = stem.with_name(f"{stem.name}-forecast")  # the input may be in the same folder
    levels, names = config.levels(), answer["channels"]
    middle = np.array(answer["forecast"])
    levelled = [np.array(answer["quantiles"][f"{level:g}"]) for level in levels] or [middle]
    forecast = np.stack(levelled, axis=-1)  # [H, C, Q]
    paths = [save_table(answer, forecast, levels, stem.with_name(f"{stem.name}.csv"))]
    truth = np.full(middle.shape, np.nan)
    truth[: len(asked.truth)] = asked.truth
    chart = stem.with_name(f"{stem.name}.png")
    window = asked.past[None], truth[None], forecast[None]
    paths.append(draw_windows(window, names, levels, chart))
    if config.picture is Picture.PATH:
        moving = stem.with_name(f"{stem.name}.gif")
        paths.append(draw_path((asked.past, truth, forecast), moving))
    return paths


def save_table(
    answer: dict[str, Any], forecast: np.ndarray, levels: Sequence[float], path: Path
) -> Path:
    """Writes a row per step: its time or number, and each channel with its quantiles."""
    times = answer.get("times") or list(range(1, len(forecast) + 1))
    marks = [f" {level:g}" for level in levels] or [""]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = [f"{name}{mark}" for name in answer["channels"] for mark in marks]
    writer.writerow(["time" if "times" in answer else "step", *heads])
    for time, values in zip(times, forecast.tolist(), strict=True):
        writer.writerow([time, *(f"{x:.7g}" for channel in values for x in channel)])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_text(text.getvalue(), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    return path
