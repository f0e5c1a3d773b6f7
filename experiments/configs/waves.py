"""Waves of four shapes with noise, classified by a GRU, a TCN, an encoder or an Aaren.

    python launch.py train --config=waves --workdir=runs/waves       # or :tcn, :encoder, :aaren
    python launch.py evaluate --workdir=runs/waves --split=test

Not measured yet. Always answering one class is right a quarter of the time.
"""

from __future__ import annotations

from experiments.configs._examples import classified_series
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import ConvolutionalConfig, ModelConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.tasks import ClassificationConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig
from seqmodels.config.transformers import AarenConfig, BERTConfig

VARIANTS = ("gru", "tcn", "encoder", "aaren")

LENGTH = 80
MODELS: dict[str, ModelConfig] = {
    "gru": RecurrentConfig(cell="gru", model_dim=32, hidden_dim=64),
    "tcn": ConvolutionalConfig(num_layers=4, model_dim=32, hidden_dim=32, kernel_size=5),
    "encoder": BERTConfig(
        num_layers=2, model_dim=32, num_heads=4, mlp_dim=64, max_length=LENGTH, num_token_types=1
    ),
    "aaren": AarenConfig(num_layers=2, model_dim=32, num_heads=4, mlp_dim=64, tie_embeddings=False),
}


def get_config(variant: str) -> ExperimentConfig:
    return ExperimentConfig(
        model=MODELS[variant],
        data=classified_series("waves", LENGTH, batch_size=50),
        task=ClassificationConfig(),
        optimizer=OptimizerConfig(peak_lr=3e-3, warmup_steps=50, weight_decay=0.01),
        training=TrainingConfig(
            num_steps=800, log_every=40, evaluate_every=200, checkpoint_every=200
        ),
        evaluation=EvaluationConfig(batch_size=200),
    )
