"""Tones, intervals and chords, heard by a GRU or a Transformer encoder on log-mel frames.

    python launch.py train --config=tones --workdir=runs/tones              # or :encoder
    python launch.py evaluate --workdir=runs/tones --split=test

Your own WAV files, in one subfolder per class:

    python launch.py train --config=tones --config.data.name=folder --config.data.path=sounds \
        --config.data.inputs.sample_rate=16000 --workdir=runs/sounds

The GRU: 99.2 % of the 500 test sounds right (goal: 99 %), with the seed 0, in 51 s on one core of a
machine that was busy. The nearest mean spectrum is right for 36 %, one class for 17 %. An earlier
draft of the data set, with 1,500 training sounds instead of 5,000, gave 98.0 % of 300 test sounds.
The encoder was not run.
"""

from __future__ import annotations

from experiments.configs._examples import classified_sounds
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.tasks import ClassificationConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig
from seqmodels.config.transformers import BERTConfig

VARIANTS = ("gru", "encoder")

LENGTH = 128
MODELS: dict[str, ModelConfig] = {
    "gru": RecurrentConfig(cell="gru", model_dim=64, hidden_dim=64),
    "encoder": BERTConfig(
        num_layers=2, model_dim=64, num_heads=4, mlp_dim=128, max_length=LENGTH, num_token_types=1
    ),
}


def get_config(variant: str) -> ExperimentConfig:
    return ExperimentConfig(
        model=MODELS[variant],
        data=classified_sounds("tones", 8000, LENGTH, batch_size=50),
        task=ClassificationConfig(),
        optimizer=OptimizerConfig(peak_lr=3e-3, warmup_steps=50, weight_decay=0.01),
        training=TrainingConfig(
            num_steps=2400, log_every=60, evaluate_every=300, checkpoint_every=300
        ),
        evaluation=EvaluationConfig(batch_size=250),
    )
