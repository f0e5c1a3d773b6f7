"""ECG5000, heartbeats of five classes, by a GRU over 140 values; `ecg200` has two classes.

    python launch.py prepare --config=ecg5000_gru
    python launch.py train --config=ecg5000_gru --workdir=runs/ecg5000       # or :ecg200
    python launch.py evaluate --workdir=runs/ecg5000 --split=test

LABNOTE
"""

from __future__ import annotations

from experiments.configs._examples import classified_series
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import Pooling
from seqmodels.config.recurrent import RecurrentEncoderConfig
from seqmodels.config.tasks import ClassificationConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig

VARIANTS = ("ecg5000", "ecg200")

LENGTHS = {"ecg5000": 140, "ecg200": 96}


def get_config(variant: str) -> ExperimentConfig:
    return ExperimentConfig(
        model=RecurrentEncoderConfig(
            cell="gru", model_dim=32, hidden_dim=32, dropout_rate=0.2, pooling=Pooling.ATTENTION
        ),
        data=classified_series(variant, LENGTHS[variant], batch_size=40),
        task=ClassificationConfig(),
        optimizer=OptimizerConfig(peak_lr=3e-3, warmup_steps=20, weight_decay=0.05),
        training=TrainingConfig(
            num_steps=600, log_every=20, evaluate_every=60, checkpoint_every=60
        ),
        evaluation=EvaluationConfig(batch_size=500),
    )
