"""ETTh1, 96 hours ahead, by an LSTM that reads the last 96 hours and forecasts all of them at once.

python launch.py train --config=etth1_lstm --workdir=runs/etth1_lstm
python launch.py evaluate --workdir=runs/etth1_lstm --split=test
"""

from __future__ import annotations

from experiments.configs._etth1 import etth1
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.training import OptimizerConfig

VARIANTS = ("lstm", "gru")


def get_config(variant: str) -> ExperimentConfig:
    return etth1(
        RecurrentConfig(cell=variant, model_dim=32, hidden_dim=64, dropout_rate=0.1),
        input_length=96,
        num_steps=1000,
        every=100,
        optimizer=OptimizerConfig(peak_lr=1e-3, warmup_steps=50),
    )
