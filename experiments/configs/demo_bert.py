"""The demonstration's BERT: 2 layers of 128 that guess hidden characters of the Python docs.

python launch.py train --config=demo_bert --workdir=runs/demo_bert
"""

from __future__ import annotations

from seqmodels.config.data import Batching, TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.tasks import MaskedLanguageModelConfig
from seqmodels.config.training import (
    EvaluationConfig,
    EvaluationContext,
    OptimizerConfig,
    TrainingConfig,
)
from seqmodels.config.transformers import BERTConfig

VARIANTS = ("default",)


def get_config(variant: str) -> ExperimentConfig:
    return ExperimentConfig(
        model=BERTConfig(
            num_layers=2, model_dim=128, num_heads=4, mlp_dim=512, max_length=32, num_token_types=1
        ),
        data=TextDataConfig(
            name="python_docs", batching=Batching.WINDOWS, sequence_length=32, batch_size=64
        ),
        task=MaskedLanguageModelConfig(),
        optimizer=OptimizerConfig(
            peak_lr=1e-3, final_lr=2e-5, warmup_steps=100, beta2=0.999, weight_decay=0.01
        ),
        training=TrainingConfig(
            num_steps=3000, log_every=50, evaluate_every=500, checkpoint_every=500
        ),
        evaluation=EvaluationConfig(
            context=EvaluationContext.WINDOW, sequence_length=32, batch_size=128
        ),
    )
