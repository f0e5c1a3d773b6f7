"""BERT in its published sizes (Devlin et al., 2019, arXiv:1810.04805): base and large.

    python launch.py train --config=bert:base --workdir=runs/bert \
        --config.data.name=text_file --config.data.path='corpus/*.txt'

With the 30,522 word pieces of the released models and the pooler they have 109,482,240 and
335,141,888 parameters; tests/models/test_presets.py counts them. The paper's pre-training: a
million steps of 256 rows of 512 tokens, Adam at 1e-4 with 10,000 warm-up steps and then linear
decay to 0, weight decay 0.01, dropout 0.1. Differs from the paper: rows hold running text without a
second sentence, so there is no head that predicts whether one sentence follows the other. Not run
at these sizes; `launch.py import` loads the published weights.
"""

from __future__ import annotations

from seqmodels.config.data import TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.tasks import MaskedLanguageModelConfig
from seqmodels.config.training import (
    Dtype,
    EvaluationConfig,
    OptimizerConfig,
    Schedule,
    TrainingConfig,
)
from seqmodels.config.transformers import BERTConfig

VARIANTS = ("base", "large")

# Layers, width, heads.
SIZES = {"base": (12, 768, 12), "large": (24, 1024, 16)}


def get_config(variant: str) -> ExperimentConfig:
    num_layers, model_dim, num_heads = SIZES[variant]
    return ExperimentConfig(
        model=BERTConfig(
            num_layers=num_layers,
            model_dim=model_dim,
            num_heads=num_heads,
            mlp_dim=4 * model_dim,
            max_length=512,
            dropout_rate=0.1,
            remat=num_layers > 12,
        ),
        data=TextDataConfig(sequence_length=512, batch_size=256),
        task=MaskedLanguageModelConfig(),
        optimizer=OptimizerConfig(
            peak_lr=1e-4,
            schedule=Schedule.LINEAR,
            warmup_steps=10_000,
            epsilon=1e-6,
            weight_decay=0.01,
        ),
        training=TrainingConfig(
            num_steps=1_000_000,
            evaluate_every=10_000,
            checkpoint_every=10_000,
            accumulation_steps=8,
            dtype=Dtype.BFLOAT16,
        ),
        evaluation=EvaluationConfig(sequence_length=512, batch_size=32),
    )
