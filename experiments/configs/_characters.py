"""Small encoder-decoders over characters, shared by `dates` and `numbers`."""

from __future__ import annotations

import dataclasses

from seqmodels.config.data import ExamplesDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import Context, Seq2SeqConfig
from seqmodels.config.tasks import TranslationConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig
from seqmodels.config.transformers import TransformerConfig

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
        cell="gru", context=Context.BAHDANAU, model_dim=64, hidden_dim=96, bidirectional=True
    ),
}


def make_config(variant: str, data: ExamplesDataConfig) -> ExperimentConfig:
    """Returns the experiment of `transformer` or `seq2seq` on pairs."""
    return ExperimentConfig(
        model=dataclasses.replace(MODELS[variant]),  # overrides change it in place
        data=data,
        task=TranslationConfig(),
        optimizer=OptimizerConfig(peak_lr=2e-3, warmup_steps=100),
        training=TrainingConfig(
            num_steps=1500, log_every=50, evaluate_every=500, checkpoint_every=500
        ),
        evaluation=EvaluationConfig(batch_size=250),
    )
