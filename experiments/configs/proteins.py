"""Secondary structure of proteins: helix, sheet or coil for each residue (Q3 is the accuracy).

    python launch.py prepare --config=proteins
    python launch.py train --config=proteins --workdir=runs/proteins         # or :bert
    python launch.py evaluate --workdir=runs/proteins --split=test

Bidirectional GRU, seed 0, one run: Q3 61.14 % of the 3,520 test residues, at the step of the
highest validation accuracy. It does not beat counts in a window of 13, which have 61.70; the
majority label, which is that of every residue by itself too, has 54.63.
Published: 62.7 for one network over windows of 13 and 64.3 for two in
sequence (Qian and Sejnowski, 1988), trained on all 111 chains, here on 95.

Chosen on 16 validation chains: width 32 with dropout 0.5 had 55.3 % after 600 steps, width 48 with
0.2 had 56.5 after 300. `bert` was not run.
"""

from __future__ import annotations

from seqmodels.config.data import ExamplesDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import TagsConfig, TokensConfig
from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import InputEncoding, RecurrentEncoderConfig
from seqmodels.config.tasks import TaggingConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig
from seqmodels.config.transformers import BERTConfig

VARIANTS = ("gru", "bert")

LENGTH = 512
MODELS: dict[str, ModelConfig] = {
    "gru": RecurrentEncoderConfig(
        cell="gru", hidden_dim=48, dropout_rate=0.2, input_encoding=InputEncoding.ONE_HOT
    ),
    "bert": BERTConfig(
        num_layers=2,
        model_dim=64,
        num_heads=4,
        mlp_dim=128,
        max_length=LENGTH,
        num_token_types=1,
        dropout_rate=0.3,
    ),
}


def get_config(variant: str) -> ExperimentConfig:
    return ExperimentConfig(
        model=MODELS[variant],
        data=ExamplesDataConfig(
            name="proteins",
            inputs=TokensConfig(column="sequence", max_length=LENGTH),
            targets=TagsConfig(column="structure"),
            batch_size=8,
            max_shapes=4,
            validation_fraction=0.1,
            test_fraction=0.1,
        ),
        task=TaggingConfig(),
        optimizer=OptimizerConfig(peak_lr=2e-3, warmup_steps=20, weight_decay=0.1),
        training=TrainingConfig(
            num_steps=600,
            log_every=20,
            evaluate_every=20,
            checkpoint_every=20,
            best_metric="accuracy",
        ),
        evaluation=EvaluationConfig(batch_size=16),
    )
