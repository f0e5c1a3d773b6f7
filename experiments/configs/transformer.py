"""The Transformer of 2017, base and big (Vaswani et al., arXiv:1706.03762).

    python launch.py train --config=transformer:base --workdir=runs/transformer \
        --config.data.name=parallel_text --config.data.path='train.{column}' \
        --config.data.source.column=en --config.data.targets.column=de

With one vocabulary of 37,000 tokens for both sides and one table for both embeddings and the
logits, base has 63,082,496 parameters and big 214,245,376, as tests/models/test_presets.py computes
them from the equations; the paper says 65 and 213 million. The built-in dates, the default here,
have 59 symbols.

The recipe is the paper's: Adam (0.9, 0.98, 1e-9), 4000 warm-up steps, then 1 / sqrt(step), scaled
by d_model^-0.5, label smoothing 0.1, dropout 0.1 (big 0.3), 100,000 steps (big 300,000), 25,000
source and target tokens per batch, here 1024 pairs. Not run at these sizes.
"""

from __future__ import annotations

from experiments.configs._examples import pairs
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.tasks import TranslationConfig
from seqmodels.config.training import (
    EvaluationConfig,
    OptimizerConfig,
    Schedule,
    TrainingConfig,
)
from seqmodels.config.transformers import TransformerConfig

VARIANTS = ("base", "big")

WARMUP_STEPS = 4000


def get_config(variant: str) -> ExperimentConfig:
    big = variant == "big"
    model_dim = 1024 if big else 512
    return ExperimentConfig(
        model=TransformerConfig(
            num_encoder_layers=6,
            num_decoder_layers=6,
            model_dim=model_dim,
            num_heads=16 if big else 8,
            mlp_dim=4 * model_dim,
            max_length=256,
            dropout_rate=0.3 if big else 0.1,
        ),
        data=pairs("dates", source_length=256, target_length=256, batch_size=1024),
        task=TranslationConfig(label_smoothing=0.1),
        optimizer=OptimizerConfig(
            peak_lr=(model_dim * WARMUP_STEPS) ** -0.5,
            schedule=Schedule.INVERSE_SQRT,
            warmup_steps=WARMUP_STEPS,
            beta2=0.98,
            epsilon=1e-9,
            clip_norm=None,
        ),
        training=TrainingConfig(
            num_steps=300_000 if big else 100_000,
            evaluate_every=1000,
            checkpoint_every=1000,
            accumulation_steps=8,
        ),
        evaluation=EvaluationConfig(batch_size=128),
    )
