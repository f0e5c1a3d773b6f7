"""`windows`: windows of series of real values, and the steps after each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from seqmodels.config.errors import UserError
from seqmodels.config.features import Normalisation
from seqmodels.config.forecasting import WindowsConfig
from seqmodels.data.datasets.series import Series, forward_fill
from seqmodels.data.features.feature import ColumnSource, FeatureBase, Opened
from seqmodels.protocols import Part
from seqmodels.types import ValueInput


class Windows(FeatureBase):
    """A row is input_length steps and the horizon after them, [L + H, C] float32.

        z = (x - mean) / deviation, channel by channel

    Mean and deviation are those of the steps of the training split, in float64; a channel that does
    not vary has a deviation of 1. There is a window for every step of a split from which on the
    horizon is in the split; its inputs may reach back before the split, where there is something.

    Args:
      config: normalisation and lengths.
      channels: names, [C].
      mean, deviation: of each channel, [C].
    """

    kind: ClassVar[str] = "windows"
    given: ClassVar[str] = "file"
    key: ClassVar[str] = "file"

    def __init__(
        self,
        config: WindowsConfig,
        channels: tuple[str, ...],
        mean: np.ndarray,
        deviation: np.ndarray,
    ) -> None:
        self.config, self.channels = config, channels
        self.mean, self.deviation = np.asarray(mean, float), np.asarray(deviation, float)

    @property
    def input(self) -> ValueInput:
        """The number of channels and of steps to read."""
        return ValueInput(len(self.channels), self.config.input_length)

    @classmethod
    def open(cls, config: WindowsConfig, source: ColumnSource, saved: Windows | None) -> Opened:
        """Scales all series and finds their windows.

        Raises:
          UserError: a series without a window, or with other channels.
        """
        found = _columns(source)
        feature = saved or cls._fit(config, found["train"])
        columns = {split: feature.encode(column, split, source) for split, column in found.items()}
        start = f" {config.input_length} {config.horizon} {feature.to_json()}"
        return Opened(feature, columns, start=start)

    @classmethod
    def _fit(cls, config: WindowsConfig, column: Sequence[Series]) -> Windows:
        channels = column[0].channels
        mean, deviation = np.zeros(len(channels)), np.ones(len(channels))
        if config.normalisation is Normalisation.STANDARD:
            steps = np.concatenate([series.values[series.first :] for series in column])
            for channel in range(len(channels)):
                known = steps[~np.isnan(steps[:, channel]), channel]
                # The deviation of equal values is seldom exactly 0: their mean is rounded.
                if len(known) and np.ptp(known) > 0:
                    mean[channel], deviation[channel] = known.mean(), known.std()
                elif len(known):
                    mean[channel] = known[0]
        return cls(config, channels, mean, deviation)

    def encode(self, column: Sequence[Series], split: str, source: ColumnSource) -> EncodedWindows:
        """The windows of a split.

        Raises:
          UserError: a series without a window, or with other channels.
        """
        length, horizon = self.config.input_length, self.config.horizon
        pieces, starts, ends, base = [], [], [], 0
        for row, series in enumerate(column):
            if series.channels != self.channels:
                names = f"{', '.join(series.channels)}, not {', '.join(self.channels)}"
                raise UserError(f"{source.dataset.locate(split, row)}: has the channels {names}")
            before = max(0, series.first - length)
            values = series.values[before:]
            first = max(series.first - before, length)
            count = len(values) - horizon - first + 1
            if count < 1:
                raise UserError(_too_short(series, split, row, source, self.config))
            pieces.append(values)
            starts.append(np.arange(base + first - length, base + first - length + count))
            base += len(values)
            ends.append(base)
        scaled = [self.scale(piece) for piece in pieces]
        filled = np.concatenate([fill(piece) for piece in scaled])
        places = np.concatenate(starts), np.array(ends)
        return EncodedWindows(filled, np.concatenate(scaled), *places, length, length + horizon)

    def scale(self, series: np.ndarray) -> np.ndarray:
        """Scaled values, float32."""
        return ((series - self.mean) / self.deviation).astype(np.float32)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Values [.., C] in the units of the data, float64."""
        return np.asarray(values, float) * self.deviation + self.mean

    def show(self, values: np.ndarray, segment_ids: np.ndarray | None) -> str:
        """The values in the units of the data, one line per channel."""
        del segment_ids
        lines = zip(self.channels, self.decode(values).T, strict=True)
        return "\n".join(f"{name}: " + " ".join(f"{x:.4g}" for x in line) for name, line in lines)

    def read(self, given: str) -> Any:
        """Nothing: a task reads a file as the data of its run are read."""
        raise NotImplementedError(f"{given}: read by the task")

    def batch(self, encoded: Sequence[np.ndarray], rows: int) -> Part:
        """Windows of inputs [rows, L, C]; rows without one are zero."""
        values = np.zeros((rows, self.config.input_length, len(self.channels)), np.float32)
        for row, window in enumerate(encoded):
            values[row] = window
        return Part(values, None, (np.arange(rows) < len(encoded)).astype(np.float32))

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `from_json` reads."""
        numbers = {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}
        return {"kind": self.kind, "channels": list(self.channels), **numbers}

    @classmethod
    def from_json(cls, values: dict[str, Any], config: WindowsConfig) -> Windows:
        """Rebuilds the object that `to_json` wrote."""
        numbers = (np.array(values[name]) for name in ("mean", "deviation"))
        return cls(config, tuple(values["channels"]), *numbers)

    def summary(self) -> str:
        """Channels, inputs and horizon."""
        lengths = f"{self.config.input_length} steps and {self.config.horizon} after them"
        return f"{len(self.channels)} channel{'s' * (len(self.channels) != 1)}, {lengths}"

    def description(self) -> dict[str, Any]:
        """Facts about it that a run records for its reader."""
        return {"num_channels": len(self.channels)}


class EncodedWindows:
    """The windows of one split; see `feature.EncodedColumn`.

    Attributes:
      filled: scaled steps of all series, float32 [N, C], without gaps.
      steps: the same, with NaN where a value is missing.
      starts: first step of each window, [n].
      ends: the step after the last of each series.
      input_length, size: L, and L + H.
    """

    lengths: np.ndarray | None = None
    num_steps: np.ndarray | None = None
    unit = "step"

    def __init__(
        self,
        filled: Float[np.ndarray, "N C"],
        steps: Float[np.ndarray, "N C"],
        starts: Int[np.ndarray, " n"],
        ends: Int[np.ndarray, " series"],
        input_length: int,
        size: int,
    ) -> None:
        self.filled, self.steps, self.starts, self.ends = filled, steps, starts, ends
        self.input_length, self.size = input_length, size

    def __len__(self) -> int:
        return len(self.starts)

    def part(self, chosen: np.ndarray, width: int | None) -> Part:
        """Windows [b, L + H, C]; missing targets are NaN, missing inputs the value before."""
        del width
        real = chosen >= 0
        at = self.starts[np.maximum(chosen, 0)][:, None] + np.arange(self.size)
        inputs, targets = np.split(at, [self.input_length], axis=1)
        values = np.concatenate([self.filled[inputs], self.steps[targets]], axis=1)
        values[~real] = 0
        return Part(values, None, real.astype(np.float32))

    def content(self, kept: np.ndarray) -> list[np.ndarray]:
        """The values and the places of the windows."""
        return [self.steps, self.starts[kept]]

    def sizes(self, kept: np.ndarray) -> dict[str, int]:
        """The number of steps."""
        del kept
        return {"steps": len(self.steps)}


def fill(steps: Float[np.ndarray, "T C"]) -> Float[np.ndarray, "T C"]:
    """Missing values become the one before them, or the mean, 0, where there is none."""
    return np.nan_to_num(forward_fill(steps), nan=0.0, posinf=None, neginf=None)


def _columns(source: ColumnSource) -> dict[str, list[Series]]:
    found = source.splits()
    for column in found.values():
        if not all(isinstance(one, Series) for one in column):
            raise UserError(f"{source.field}: this column does not hold series over time")
    return found


def _too_short(
    series: Series, split: str, row: int, source: ColumnSource, config: WindowsConfig
) -> str:
    size, before = len(series.values), series.first
    own = f"{size - before} steps" + (f" and {before} before them" if before else "")
    return (
        f"{source.dataset.locate(split, row)}: {own} are too few for a window of "
        f"data.{source.role}.input_length={config.input_length} and "
        f"data.{source.role}.horizon={config.horizon}"
    )
