"""The demonstration's GPT: 4 layers of 128, context 512, on the built-in Python documentation.

    python launch.py train --config=demo_gpt --workdir=runs/demo_gpt

Takes about a minute on two CPU cores. Cached generation is compared with uncached logits on this
model.
"""

from __future__ import annotations

from seqmodels.config.data import TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import (
    EvaluationConfig,
    EvaluationContext,
    OptimizerConfig,
    TrainingConfig,
)
from seqmodels.config.transformers import GPTConfig, Position

VARIANTS = ("default",)


def get_config(variant: str) -> ExperimentConfig:
    return ExperimentConfig(
        model=GPTConfig(
            num_layers=4,
            num_heads=4,
            model_dim=128,
            mlp_dim=512,
            max_length=512,
            position=Position.ROTARY,
        ),
        data=TextDataConfig(name="python_docs", sequence_length=512, batch_size=4),
        task=LanguageModelConfig(),
        optimizer=OptimizerConfig(
            peak_lr=3e-3, final_lr=3e-4, warmup_steps=50, beta2=0.99, weight_decay=0.1
        ),
        training=TrainingConfig(
            num_steps=300, log_every=10, evaluate_every=100, checkpoint_every=100
        ),
        evaluation=EvaluationConfig(
            context=EvaluationContext.SLIDING, sequence_length=512, batch_size=8
        ),
    )
