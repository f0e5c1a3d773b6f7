"""The demonstration's LSTM: one layer of 256 on the built-in Python documentation.

    python launch.py train --config=demo_lstm --workdir=runs/demo_lstm

Takes about a minute on two CPU cores.
"""

from __future__ import annotations

from seqmodels.config.data import TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import (
    EvaluationConfig,
    EvaluationContext,
    OptimizerConfig,
    TrainingConfig,
)

VARIANTS = ("default",)


def get_config(variant: str) -> ExperimentConfig:
    return ExperimentConfig(
        model=RecurrentConfig(num_layers=1, model_dim=128, hidden_dim=256),
        data=TextDataConfig(name="python_docs", sequence_length=128, batch_size=32),
        task=LanguageModelConfig(),
        optimizer=OptimizerConfig(peak_lr=5e-3, final_lr=5e-5, warmup_steps=30, beta2=0.99),
        training=TrainingConfig(
            num_steps=500, log_every=20, evaluate_every=100, checkpoint_every=100
        ),
        evaluation=EvaluationConfig(context=EvaluationContext.CARRY, num_streams=32),
    )
