"""Typed settings of forecasting: the task, the windows of a series, and the models of windows."""

from __future__ import annotations

import dataclasses
import enum
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from seqmodels.config.features import FeatureConfig, Normalisation
from seqmodels.config.fields import choice, fraction, number
from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import CellConfig
from seqmodels.config.tasks import AnswerFlag, Metric, TaskConfig
from seqmodels.config.transformers import head_problems
from seqmodels.registry import CELLS

if TYPE_CHECKING:
    from seqmodels.config.experiment import ExperimentConfig


class Strategy(enum.StrEnum):
    """direct: all steps of the horizon at once. recursive: one step, which is then read like an
    observed one; training reads the observed ones (teacher forcing)."""

    DIRECT = "direct"
    RECURSIVE = "recursive"


class WindowScale(enum.StrEnum):
    """How each window is scaled before a model reads it, and its forecast scaled back.

    none: not. last_value: the last value of each channel is subtracted. mean_deviation: the mean of
    each channel is subtracted, and it is divided by its deviation.
    """

    NONE = "none"
    LAST_VALUE = "last_value"
    MEAN_DEVIATION = "mean_deviation"


class ForecastError(enum.StrEnum):
    """The loss of a forecast without quantiles, per value."""

    SQUARED = "squared"
    ABSOLUTE = "absolute"


class Picture(enum.StrEnum):
    """chart: values over time, with fans of quantiles. path: the first two channels are a place in
    the plane, which moves."""

    CHART = "chart"
    PATH = "path"


class WindowForm(enum.StrEnum):
    """plain: one linear map. decomposed: one of the moving average and one of the rest."""

    PLAIN = "plain"
    DECOMPOSED = "decomposed"


@dataclasses.dataclass
class WindowsConfig(FeatureConfig):
    """Windows of series: input_length steps to read and the horizon after them, at every step of
    the split. Inputs may reach back into the split before; targets may not.

    Attributes:
      column: channels, separated by commas; `values` is all of them.
      normalisation: how values are scaled, fitted on the steps of the training split.
      input_length, horizon: in steps.
    """

    kind: ClassVar[str] = "windows"
    word: ClassVar[str] = "values"
    given: ClassVar[str] = "file"
    table: ClassVar[str] = "series_file"
    column: str = "values"
    normalisation: Normalisation = Normalisation.STANDARD
    input_length: int = 96
    horizon: int = 24

    def lengths(self) -> dict[str, int]:
        """The steps that a model reads, and those that it forecasts."""
        return {"input_length": self.input_length, "horizon": self.horizon}


@dataclasses.dataclass
class ForecastingConfig(TaskConfig):
    """The next steps of a series, from a window of it.

    Attributes:
      strategy: see `Strategy`.
      separate_channels: whether each channel is a series of its own to the model.
      window_scale: see `WindowScale`.
      error: the loss where there are no quantiles.
      quantiles: levels to forecast, rising and separated by commas, with 0.5 in the middle, as in
        0.1,0.5,0.9; the loss is then the pinball loss. none = one value.
      season: steps of a season, for the baseline of the last season and for mase.
      picture: see `Picture`.
    """

    kind: ClassVar[str] = "forecasting"
    roles: ClassVar[dict[str, tuple[str, ...]]] = {"inputs": ("windows",)}
    outputs: ClassVar[str] = "values"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("loss", "scaled values", shown=False),
        Metric("mse", "squared scaled values"),
        Metric("mae", "scaled values"),
        Metric("mase", "errors of the last season", further=True),
        Metric("end_error", "scaled distance at the last step", shown=False),
        Metric("crps", "scaled values", always=False),
        Metric("coverage_error", "share", always=False),
    )
    answers: ClassVar[str | None] = "inputs"
    answer_flags: ClassVar[tuple[AnswerFlag, ...]] = (
        AnswerFlag(
            "hold_out",
            int,
            0,
            0,
            "last steps of a series that are not read but compared with the forecast",
        ),
    )
    noun: ClassVar[str] = "forecasts"
    saves_answers: ClassVar[bool] = True
    strategy: Strategy = Strategy.DIRECT
    separate_channels: bool = False
    window_scale: WindowScale = WindowScale.NONE
    error: ForecastError = ForecastError.SQUARED
    quantiles: str | None = None
    season: int = 1
    picture: Picture = Picture.CHART

    def levels(self) -> tuple[float, ...]:
        """The quantiles to forecast; empty where there is one value."""
        return () if self.quantiles is None else tuple(map(float, self.quantiles.split(",")))

    def problems(self) -> Iterator[tuple[str, str]]:
        try:
            levels = self.levels()
        except ValueError:
            levels = (0.0,)
        inside = all(0 < level < 1 for level in levels)
        rising = all(a < b for a, b in itertools.pairwise(levels))
        if levels and not (inside and rising and levels[len(levels) // 2] == 0.5):
            allowed = "must be levels between 0 and 1, rising, with 0.5 in the middle: 0.1,0.5,0.9"
            yield "quantiles", allowed
        elif levels and self.strategy is Strategy.RECURSIVE:
            yield "quantiles", "need task.strategy=direct, or none"

    def conflicts(self, config: ExperimentConfig) -> Iterator[tuple[str, str]]:
        """A season longer than the inputs, and recursion of a model that cannot."""
        yield from super().conflicts(config)
        length = config.data.lengths()["inputs.input_length"]
        if self.season > length:
            yield "task.season", f"must be at most data.inputs.input_length, {length}"
        if self.strategy is not Strategy.RECURSIVE:
            return
        if not config.model.causal:
            yield "task.strategy", "must be direct: the model does not read one step at a time"
        elif not config.model.unbounded:
            needed = sum(config.data.lengths().values()) - 1
            if needed > vars(config.model)["max_length"]:
                allowed = f"must be {needed} or more with task.strategy=recursive"
                yield "model.max_length", allowed

    def answer_settings(self, config: ExperimentConfig, flags: dict[str, Any]) -> int:
        """The number of steps that are held out."""
        del config
        return flags["hold_out"]


@dataclasses.dataclass
class WindowLinearConfig(ModelConfig):
    """A linear map of a whole window (Zeng et al., 2023).

    Attributes:
      form: plain, one map; or decomposed, one of the moving average and one of the rest.
      average_length: steps of the moving average of the decomposed form, odd.
      dropout_rate: of the window.
    """

    kind: ClassVar[str] = "window_linear"
    inputs: ClassVar[tuple[str, ...]] = ("values",)
    outputs: ClassVar[tuple[str, ...]] = ("values",)
    form: WindowForm = WindowForm.PLAIN
    average_length: int = 25
    dropout_rate: float = fraction(0.0)

    @property
    def causal(self) -> bool:
        return False

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.average_length % 2 == 0:
            yield "average_length", "must be odd"


@dataclasses.dataclass
class SegmentRNNConfig(CellConfig):
    """Recurrent cells over segments of a window (SegRNN, Lin et al., 2023).

    Attributes:
      segment_length: steps of a segment.
    """

    kind: ClassVar[str] = "segment_rnn"
    inputs: ClassVar[tuple[str, ...]] = ("values",)
    outputs: ClassVar[tuple[str, ...]] = ("values",)
    cell: str = choice("gru", CELLS)
    segment_length: int = 48

    @property
    def causal(self) -> bool:
        return False


@dataclasses.dataclass
class PatchTransformerConfig(ModelConfig):
    """Transformer encoder over patches of a window (PatchTST, Nie et al., 2023).

    Attributes:
      patch_length, stride: steps of a patch, and from one patch to the next.
      num_layers, model_dim, num_heads, mlp_dim: of the encoder.
      dropout_rate: of the patches, in the encoder, and of what the head reads.
      norm_epsilon: added to the variance.
    """

    kind: ClassVar[str] = "patch_transformer"
    inputs: ClassVar[tuple[str, ...]] = ("values",)
    outputs: ClassVar[tuple[str, ...]] = ("values",)
    patch_length: int = 16
    stride: int = 8
    num_layers: int = 3
    model_dim: int = 16
    num_heads: int = 4
    mlp_dim: int = 128
    dropout_rate: float = fraction(0.3)
    norm_epsilon: float = number(1e-5, above=0)

    @property
    def causal(self) -> bool:
        return False

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from head_problems(self.model_dim, self.num_heads)
        if self.stride > self.patch_length:
            yield "stride", f"must be at most patch_length, {self.patch_length}"
