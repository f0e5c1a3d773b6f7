"""Tiny Shakespeare, characters: minGRU and minLSTM (Feng et al., 2024, arXiv:2410.01201).

    python launch.py train --config=shakespeare_min_rnn:gru --workdir=runs/shakespeare_min_gru

The paper's setting: 3 layers of 384, each of a short convolution of 4 taps, the cell at twice the
width, and a feed-forward part, with a residual connection around each; context 256, batch 64,
dropout 0.2, AdamW at 1e-3, gradients clipped at 0.25, 5000 steps. Published: 1.548 (minGRU) and
1.555 (minLSTM), compared with 1.547 for a Transformer. The cells have their linear form, not the
paper's logarithmic one.
Not run: it needs an accelerator.
The validation split is nanoGPT's: TFDS validation and test joined, 111,540 characters.
"""

from __future__ import annotations

from seqmodels.config.data import TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.recurrent import RecurrentBlock, RecurrentConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import (
    EvaluationConfig,
    EvaluationContext,
    OptimizerConfig,
    Schedule,
    TrainingConfig,
)

VARIANTS = ("gru", "lstm")


def get_config(variant: str) -> ExperimentConfig:
    return ExperimentConfig(
        model=RecurrentConfig(
            cell="min_gru" if variant == "gru" else "min_lstm",
            num_layers=3,
            model_dim=384,
            hidden_dim=768,
            mlp_dim=1536,
            convolution_width=4,
            block=RecurrentBlock.RESIDUAL,
            dropout_rate=0.2,
        ),
        data=TextDataConfig(
            name="tfds:tiny_shakespeare",
            validation_split="validation+test",
            test_split=None,
            unknown_symbols=False,
            sequence_length=256,
            batch_size=64,
        ),
        task=LanguageModelConfig(),
        optimizer=OptimizerConfig(
            peak_lr=1e-3, schedule=Schedule.CONSTANT, warmup_steps=100, clip_norm=0.25
        ),
        training=TrainingConfig(num_steps=5000),
        evaluation=EvaluationConfig(context=EvaluationContext.CARRY, sequence_length=256),
    )
