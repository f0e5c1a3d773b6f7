"""Little stories and a question: "anna took the key . .. where is the key ?", kitchen.

    python launch.py train --config=stories --workdir=runs/stories          # or :lstm, :gpt
    python launch.py evaluate --workdir=runs/stories --split=test

Six answers; 20,000 stories for training and 1,000 for testing, which are in no other split; see
`data.datasets.stories`. The baselines are the most frequent answer, and naive Bayes of words and
bigrams.
Measured 2026-11-21 on one core of a shared Intel Xeon (AVX-512), jax 0.10.2, seed 0 (one run each),
test split: `bert` has 49.0 % in 9 minutes, and naive Bayes has 32.1 %. The validation loss of
`bert` stays at 1.146 nats from step 2000 on.
"""

from __future__ import annotations

from experiments.configs._examples import classified_texts
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import TokenizerKind, TokensConfig
from seqmodels.config.models import ModelConfig, Pooling
from seqmodels.config.recurrent import RecurrentEncoderConfig
from seqmodels.config.tasks import ClassificationConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig
from seqmodels.config.transformers import BERTConfig, GPTConfig

VARIANTS = ("bert", "lstm", "gpt")

MODELS: dict[str, ModelConfig] = {
    "bert": BERTConfig(num_layers=3, model_dim=64, num_heads=4, mlp_dim=128, max_length=64),
    "lstm": RecurrentEncoderConfig(model_dim=64, hidden_dim=64, pooling=Pooling.ATTENTION),
    "gpt": GPTConfig(
        num_layers=3, model_dim=64, num_heads=4, mlp_dim=128, max_length=64, tie_embeddings=False
    ),
}


def get_config(variant: str) -> ExperimentConfig:
    return ExperimentConfig(
        model=MODELS[variant],
        data=classified_texts(
            "stories",
            TokensConfig(
                tokenizer=TokenizerKind.WORD, max_length=64, class_token=variant == "bert"
            ),
            batch_size=64,
            max_shapes=3,
        ),
        task=ClassificationConfig(),
        optimizer=OptimizerConfig(peak_lr=1e-3, warmup_steps=200),
        training=TrainingConfig(
            num_steps=3000, log_every=50, evaluate_every=500, checkpoint_every=500
        ),
        evaluation=EvaluationConfig(batch_size=250),
    )
