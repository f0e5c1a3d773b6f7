"""Irish folk tunes in ABC, characters: a GRU.

    python launch.py prepare --config=irish_gru      # downloads irish.abc where it is not there
    python launch.py train --config=irish_gru --workdir=runs/irish_gru
    python launch.py music --workdir=runs/irish_gru --temperature=0.5 --seed=1

Goal: <= 1.45 nats per character on held-out tunes; of 50 sampled tunes >= 80 % parse and fill their
bars, and none is copied whole from the training split.
Measured 2026-11-21 on one core of a shared Intel Xeon (AVX-512), jax 0.10.2, seed 0 (one run):
1.104 nats on the test split in 4 minutes; Kneser-Ney of order 12 has 1.327 there. Of 50 tunes
sampled with seed 1 at temperature 0.5, 80 % parse and fill their bars (Kneser-Ney: 22 %) and none
is copied (Kneser-Ney: 4 %). The temperature was chosen on tunes sampled with seed 0, of which 26 %
parse and fill their bars at temperature 1, 44 % at 0.8, 74 % at 0.6 and 86 % at 0.5. Of the data's
own tunes 98 % do.
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
        model=RecurrentConfig(cell="gru", num_layers=1, model_dim=64, hidden_dim=256),
        data=TextDataConfig(
            name="irish_abc", unknown_symbols=False, sequence_length=128, batch_size=32
        ),
        task=LanguageModelConfig(),
        optimizer=OptimizerConfig(peak_lr=5e-3, final_lr=1e-4, warmup_steps=50, beta2=0.99),
        training=TrainingConfig(
            num_steps=1000, log_every=50, evaluate_every=100, checkpoint_every=100
        ),
        evaluation=EvaluationConfig(
            context=EvaluationContext.CARRY, num_streams=32, baseline_order=12
        ),
    )
