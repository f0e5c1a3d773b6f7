"""`values`: series of real values, scaled by the training split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.config.features import Normalisation, ValuesConfig
from seqmodels.data.features.feature import ColumnSource, FeatureBase, Opened
from seqmodels.data.ragged import power_of_two, ranges, scatter_rows, segments_of
from seqmodels.protocols import Part
from seqmodels.types import ValueInput


class Values(FeatureBase):
    """A series per row, [T, D] float32: z = (x - mean) / deviation, channel by channel.

    Mean and deviation are those of all steps of the training split, in float64; a channel that does
    not vary has a deviation of 1.

    Args:
      config: normalisation and lengths.
      mean, deviation: of each channel, [D].
    """

    kind: ClassVar[str] = "values"

    def __init__(self, config: ValuesConfig, mean: np.ndarray, deviation: np.ndarray) -> None:
        self.config = config
        self.mean, self.deviation = np.asarray(mean, float), np.asarray(deviation, float)

    @property
    def input(self) -> ValueInput:
        """The number of channels."""
        return ValueInput(len(self.mean))

    @classmethod
    def open(cls, config: ValuesConfig, source: ColumnSource, saved: Values | None) -> Opened:
        """Scales all series.

        Raises:
          UserError: a row that is not a series of finite numbers, or has other channels.
        """
        found = {
            split: _read_rows(column, split, source) for split, column in source.splits().items()
        }
        width = saved.input.num_features if saved else found["train"][0].shape[1]
        for split, rows in found.items():
            for row, series in enumerate(rows):
                if series.shape[1] != width:
                    where = source.dataset.locate(split, row)
                    raise UserError(f"{where}: has {series.shape[1]} channels, not {width}")
        feature = saved if saved is not None else cls._fit(config, np.concatenate(found["train"]))
        columns = {
            split: EncodedValues(
                feature.scale(np.concatenate(rows)),
                np.cumsum([0, *map(len, rows)], dtype=np.int64),
            )
            for split, rows in found.items()
        }
        start = f" {feature.mean.tolist()} {feature.deviation.tolist()}"
        return Opened(feature, columns, start=start)

    @classmethod
    def _fit(cls, config: ValuesConfig, steps: np.ndarray) -> Values:
        if config.normalisation is Normalisation.NONE:
            return cls(config, np.zeros(steps.shape[1]), np.ones(steps.shape[1]))
        # The deviation of equal values is seldom exactly 0: their mean is rounded.
        deviation = np.where(np.ptp(steps, axis=0) > 0, steps.std(axis=0), 0.0)
        return cls(config, steps.mean(axis=0), np.where(deviation > 0, deviation, 1.0))

    def scale(self, series: np.ndarray) -> np.ndarray:
        """Scaled values, float32."""
        return ((series - self.mean) / self.deviation).astype(np.float32)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Values in the units of the data, float64."""
        return np.asarray(values, float) * self.deviation + self.mean

    def read(self, given: str) -> np.ndarray:
        """A scaled series of a line: numbers, or JSON; raises UserError where it is none.

        A line of as many numbers as there are channels is one step.
        """
        series = read_series(given)
        if len(self.mean) > 1 and series.shape == (len(self.mean), 1):
            series = series.T
        if series.shape[1] != len(self.mean):
            raise UserError(f"has {series.shape[1]} channels, not {len(self.mean)}")
        if len(series) > self.config.max_length:
            raise UserError(
                f"has {len(series)} steps; the run's max_length is {self.config.max_length}"
            )
        return self.scale(series)

    def batch(self, encoded: Sequence[np.ndarray], rows: int) -> Part:
        """Rows of values, padded to a power of two; a row without a series has one step of 0."""
        width = power_of_two(max(map(len, encoded)), self.config.max_length)
        values = np.zeros((rows, width, len(self.mean)), np.float32)
        segments = np.zeros((rows, width), np.int32)
        segments[:, 0] = 1
        for row, series in enumerate(encoded):
            values[row, : len(series)], segments[row, : len(series)] = series, 1
        return Part(values, segments, (np.arange(rows) < len(encoded)).astype(np.float32))

    def show(self, values: np.ndarray, segment_ids: np.ndarray | None) -> str:
        """The values in the units of the data, one line per channel."""
        values = values if segment_ids is None else values[segment_ids > 0]
        return "\n".join(" ".join(f"{x:.4g}" for x in channel) for channel in self.decode(values).T)

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `from_json` reads."""
        deviation = self.deviation.tolist()
        return {"kind": self.kind, "mean": self.mean.tolist(), "deviation": deviation}

    @classmethod
    def from_json(cls, values: dict[str, Any], config: ValuesConfig) -> Values:
        """Rebuilds the object that `to_json` wrote."""
        return cls(config, np.array(values["mean"]), np.array(values["deviation"]))

    def summary(self) -> str:
        """The number of channels."""
        return f"{len(self.mean)} channel{'s' * (len(self.mean) != 1)} of values"

    def description(self) -> dict[str, Any]:
        """Facts about it that a run records for its reader."""
        return {"num_channels": len(self.mean)}


class EncodedValues:
    """The series of one split; see `feature.EncodedColumn`.

    Attributes:
      flat: steps of all rows, float32 [N, D].
      offsets: row i has flat[offsets[i]:offsets[i + 1]].
    """

    unit = "step"

    def __init__(self, flat: np.ndarray, offsets: np.ndarray) -> None:
        self.flat, self.offsets = flat, offsets
        self.lengths: np.ndarray | None = np.diff(offsets)
        self.num_steps: np.ndarray | None = self.lengths

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def part(self, chosen: np.ndarray, width: int | None) -> Part:
        """Values [b, width, D]."""
        assert width is not None
        assert self.lengths is not None
        values = scatter_rows(self.flat, self.offsets, self.lengths, chosen, width)
        mask = (chosen >= 0).astype(np.float32)
        return Part(values, segments_of(self.lengths, chosen, width), mask)

    def content(self, kept: np.ndarray) -> list[np.ndarray]:
        """The values."""
        lengths = np.diff(self.offsets)[kept]
        return [self.flat[ranges(self.offsets[kept], lengths)], lengths]

    def sizes(self, kept: np.ndarray) -> dict[str, int]:
        """The number of steps."""
        return {"steps": int(np.diff(self.offsets)[kept].sum())}


def _read_rows(column: Any, split: str, source: ColumnSource) -> list[np.ndarray]:
    rows = []
    for row, value in enumerate(column):
        try:
            rows.append(read_series(value))
        except UserError as error:
            raise UserError(f"{source.dataset.locate(split, row)}: {error}") from None
    return rows


def read_series(value: Any) -> np.ndarray:
    """A series [T, D] in float64, of a list, or of text: JSON, or numbers with spaces or commas.

    Raises:
      UserError: it is empty, ragged, or has something that is not a finite number.
    """
    try:
        if isinstance(value, str):
            text = value.strip()
            value = json.loads(text) if text.startswith("[") else text.replace(",", " ").split()
        series = np.asarray(value, float)
    except (ValueError, TypeError) as error:
        raise UserError(f"is not a series of numbers ({error})") from None
    if series.ndim == 1:
        series = series[:, None]
    if series.ndim != 2 or not series.size:
        raise UserError("is not a series: numbers, or a list of steps, is needed")
    fits = np.abs(series) <= np.finfo(np.float32).max
    if not fits.all():
        step = int(np.flatnonzero(~fits.all(axis=1))[0])
        raise UserError(f"has a value that is not a finite float32 at step {step}")
    return series
