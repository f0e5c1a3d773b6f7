"""The demonstration's BERT: 2 layers of 128 that guess hidden characters of the Python docs.

    python launch.py train --config=demo_bert --workdir=runs/demo_bert
    python launch.py evaluate --workdir=runs/demo_bert --split=test

Measured once, seed 0, in 22 minutes on two CPU cores that were busy with other work (load 6 to 12).
Windows of 32 characters, 15 % of each chosen; loss in nats per chosen character:

                 loss    accuracy    unigram on the same characters
    validation   1.3075    64.6 %    3.2544, 19.9 %
    test         1.3326    64.4 %    3.3525, 19.7 %

At first the loss stays near 2.9, where a model knows little more than how common each character is.
It left that level before step 500; with 128 characters per row, 4 layers and peak_lr=2e-3 it had
not left it by step 900.
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
