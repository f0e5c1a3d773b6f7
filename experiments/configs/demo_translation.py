"""Written dates to ISO 8601 ("3 Mar 1999", "1999-03-03"), by a Transformer and a recurrent seq2seq.

    python launch.py train --config=demo_translation --workdir=runs/demo_translation
    python launch.py evaluate --workdir=runs/demo_translation --split=test

Two cores of a shared Intel Xeon, busy with other work, jax 0.10.2, 2026-11-21, seed 0; test split,
1,000 pairs, whose dates are in no other split; one run each. Loss in nats a target token; under
teacher forcing, so "sequences", targets without a wrong token, is no rate of translation.

    variant                     loss     accuracy    sequences    wall time
    unigram of the targets      2.273    0.182       -            -
    transformer (2 + 2 x 64)    0.0010   0.9999      0.999        177 s
    seq2seq (GRU, Bahdanau)     0.0007   1.0000      1.000        181 s
"""

from __future__ import annotations

from seqmodels.config.data import PairsDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import Cell, Context, Seq2SeqConfig
from seqmodels.config.tasks import TranslationConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig
from seqmodels.config.transformers import TransformerConfig

VARIANTS = ("transformer", "seq2seq")

MODELS: dict[str, ModelConfig] = {
    "transformer": TransformerConfig(
        num_encoder_layers=2,
        num_decoder_layers=2,
        model_dim=64,
        num_heads=4,
        mlp_dim=128,
        dropout_rate=0.0,
    ),
    "seq2seq": Seq2SeqConfig(
        cell=Cell.GRU, context=Context.BAHDANAU, model_dim=64, hidden_dim=96, bidirectional=True
    ),
}


def get_config(variant: str) -> ExperimentConfig:
    return ExperimentConfig(
        model=MODELS[variant],
        data=PairsDataConfig(name="dates", batch_size=64, max_shapes=2),
        task=TranslationConfig(),
        optimizer=OptimizerConfig(peak_lr=2e-3, warmup_steps=100),
        training=TrainingConfig(
            num_steps=1500, log_every=50, evaluate_every=500, checkpoint_every=500
        ),
        evaluation=EvaluationConfig(batch_size=250),
    )
