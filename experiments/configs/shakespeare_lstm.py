"""Tiny Shakespeare, characters: one LSTM layer of 256, or two.

    python launch.py train --config=shakespeare_lstm --workdir=runs/shakespeare_lstm
    python launch.py train --config=shakespeare_lstm:2x256 --workdir=runs/shakespeare_lstm_2x256

Goal: validation loss <= 1.70 nats per character within 8 minutes on two CPU cores.
Measured 2026-11-21 on two cores of a shared Intel Xeon (AVX-512), jax 0.10.2, Python 3.11: 1.6400
with seed 0 (one seed), in 7 minutes while other programs were running. Kneser-Ney of order 6 has
1.5226.
The validation split is nanoGPT's: TFDS validation and test joined, 111,540 characters.
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

VARIANTS = ("1x256", "2x256")


def get_config(variant: str) -> ExperimentConfig:
    two = variant == "2x256"
    return ExperimentConfig(
        model=RecurrentConfig(
            num_layers=2 if two else 1,
            model_dim=128,
            hidden_dim=256,
            dropout_rate=0.3 if two else 0.0,
        ),
        data=TextDataConfig(
            name="tfds:tiny_shakespeare",
            validation_split="validation+test",
            test_split=None,
            unknown_symbols=False,
            sequence_length=128,
            batch_size=64,
        ),
        task=LanguageModelConfig(),
        optimizer=OptimizerConfig(
            peak_lr=3e-3 if two else 4e-3, final_lr=1e-4, warmup_steps=50, beta2=0.99
        ),
        training=TrainingConfig(
            num_steps=3000 if two else 1400, log_every=50, evaluate_every=200, checkpoint_every=200
        ),
        evaluation=EvaluationConfig(context=EvaluationContext.CARRY, num_streams=32),
    )
