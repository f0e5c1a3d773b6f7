"""Numbers in words to digits ("forty-two thousand and seven", "42007"), characters.

    python launch.py train --config=numbers --workdir=runs/numbers          # or numbers:transformer
    python launch.py evaluate --workdir=runs/numbers --split=test

0 to 999,999; the numbers of the test split are in no other. Goal: 99 % of the test split's numbers
exact. Not run yet.
"""

from __future__ import annotations

from seqmodels.config.data import PairsDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import Cell, Context, Seq2SeqConfig
from seqmodels.config.tasks import TranslationConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig
from seqmodels.config.transformers import TransformerConfig

VARIANTS = ("seq2seq", "transformer")

MODELS: dict[str, ModelConfig] = {
    "seq2seq": Seq2SeqConfig(
        cell=Cell.GRU, context=Context.BAHDANAU, model_dim=64, hidden_dim=96, bidirectional=True
    ),
    "transformer": TransformerConfig(
        num_encoder_layers=2,
        num_decoder_layers=2,
        model_dim=64,
        num_heads=4,
        mlp_dim=128,
        dropout_rate=0.0,
    ),
}


def get_config(variant: str) -> ExperimentConfig:
    return ExperimentConfig(
        model=MODELS[variant],
        data=PairsDataConfig(
            name="numbers", batch_size=64, max_shapes=3, max_source_length=80, max_target_length=8
        ),
        task=TranslationConfig(),
        optimizer=OptimizerConfig(peak_lr=2e-3, warmup_steps=100),
        training=TrainingConfig(
            num_steps=1500, log_every=50, evaluate_every=500, checkpoint_every=500
        ),
        evaluation=EvaluationConfig(batch_size=250),
    )
