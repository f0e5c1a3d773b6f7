"""ETTh1 by the protocol of the papers on long forecasts, 96 hours ahead, for several configs."""

from __future__ import annotations

from seqmodels.config.data import ExamplesDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.forecasting import (
    ForecastError,
    ForecastingConfig,
    WindowScale,
    WindowsConfig,
)
from seqmodels.config.models import ModelConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig


def etth1(
    model: ModelConfig,
    *,
    input_length: int = 336,
    window_scale: WindowScale = WindowScale.LAST_VALUE,
    error: ForecastError = ForecastError.SQUARED,
    batch_size: int = 32,
    num_steps: int,
    every: int,
    optimizer: OptimizerConfig,
) -> ExperimentConfig:
    """All seven channels, each a series of its own; `every` steps an evaluation, whose best counts.

    12, 4 and 4 months of training, validation and test; values scaled by mean and deviation of the
    training split; mse and mae over all channels, steps and windows, of which none is left out.
    """
    return ExperimentConfig(
        model=model,
        data=ExamplesDataConfig(
            name="etth1",
            inputs=WindowsConfig(input_length=input_length, horizon=96),
            batch_size=batch_size,
        ),
        task=ForecastingConfig(
            separate_channels=True, window_scale=window_scale, error=error, season=24
        ),
        optimizer=optimizer,
        training=TrainingConfig(
            num_steps=num_steps,
            log_every=min(every // 2, 100),
            evaluate_every=every,
            checkpoint_every=every,
            best_metric="mse",
        ),
        evaluation=EvaluationConfig(batch_size=256),
    )
