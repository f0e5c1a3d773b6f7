"""A ball that bounces in a box, from its last 20 places: where is it 20 steps later?

    python launch.py train --config=ball --workdir=runs/ball
    python launch.py evaluate --workdir=runs/ball --split=test

`end_error` is the mean distance between the true and the forecast place at the last step, in widths
of the box. The coordinates bounce independently, and each is a series of its own to the model.

Measured on one core of a shared Intel Xeon that other programs kept busy, jax 0.10.2, Python 3.11,
2026-11-29, seed 0, one run; test split, 500 flights with 21 windows each; 807 s.

    forecast       mae       end_error
    last value     0.2207    0.5247
    ridge          0.1287    0.3898
    lstm           0.0032    0.0104
    gru            not run

The goal is an end_error of 0.02, 2 % of the box.
"""

from __future__ import annotations

from seqmodels.config.data import ExamplesDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import Normalisation
from seqmodels.config.forecasting import (
    ForecastError,
    ForecastingConfig,
    Picture,
    WindowsConfig,
)
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig

VARIANTS = ("lstm", "gru")


def get_config(variant: str) -> ExperimentConfig:
    return ExperimentConfig(
        model=RecurrentConfig(cell=variant, model_dim=32, hidden_dim=128),
        data=ExamplesDataConfig(
            name="ball",
            inputs=WindowsConfig(input_length=20, horizon=20, normalisation=Normalisation.NONE),
            batch_size=128,
        ),
        task=ForecastingConfig(
            separate_channels=True,
            error=ForecastError.ABSOLUTE,
            picture=Picture.PATH,
        ),
        optimizer=OptimizerConfig(peak_lr=4e-3, warmup_steps=100),
        training=TrainingConfig(
            num_steps=4000, log_every=100, evaluate_every=1000, checkpoint_every=1000
        ),
        evaluation=EvaluationConfig(batch_size=512),
    )
