"""Irish folk tunes in ABC, characters: a small GPT, whose context holds most tunes whole.

    python launch.py prepare --config=irish_gpt      # downloads irish.abc where it is not there
    python launch.py train --config=irish_gpt --workdir=runs/irish_gpt
    python launch.py music --workdir=runs/irish_gpt --temperature=0.5 --seed=1

Goal: <= 1.45 nats per character on held-out tunes; of 50 sampled tunes >= 80 % parse and fill their
bars, and none is copied whole from the training split.
Measured 2026-11-22 on one core of a shared Intel Xeon (AVX-512), jax 0.10.2, seed 0 (one run):
0.984 nats on the test split in 17 minutes, and still falling; Kneser-Ney of order 12 has 1.327. Of
50 tunes sampled with seed 1 at temperature 0.5, 94 % parse and fill their bars (Kneser-Ney: 22 %)
and none is copied (Kneser-Ney: 4 %). The temperature was chosen on the tunes of `irish_gru`.
"""

from __future__ import annotations

from seqmodels.config.data import TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig
from seqmodels.config.transformers import GPTConfig, Position

VARIANTS = ("default",)


def get_config(variant: str) -> ExperimentConfig:
    return ExperimentConfig(
        model=GPTConfig(
            num_layers=4,
            num_heads=4,
            model_dim=128,
            mlp_dim=512,
            max_length=256,
            position=Position.ROTARY,
            dropout_rate=0.1,
        ),
        data=TextDataConfig(
            name="irish_abc", unknown_symbols=False, sequence_length=256, batch_size=16
        ),
        task=LanguageModelConfig(),
        optimizer=OptimizerConfig(
            peak_lr=3e-3,
            final_lr=1e-4,
            warmup_steps=50,
            beta2=0.99,
            weight_decay=0.1,
            clip_norm=1.0,
        ),
        training=TrainingConfig(
            num_steps=700, log_every=50, evaluate_every=100, checkpoint_every=100
        ),
        evaluation=EvaluationConfig(sequence_length=256, batch_size=16, baseline_order=12),
    )
