"""DNA with two boxes: the class of a sequence, or a tag for each of its letters.

    python launch.py train --config=motifs --workdir=runs/motifs             # or :tcn, :bert
    python launch.py train --config=motifs:sites --workdir=runs/sites
    python launch.py evaluate --workdir=runs/motifs --split=test

Not measured yet. Always answering one class is right a quarter of the time; 87 % of the letters are
outside of the boxes.
"""

from __future__ import annotations

from seqmodels.config.data import ExamplesDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import LabelConfig, TagsConfig, TokensConfig
from seqmodels.config.models import ConvolutionalConfig, ModelConfig
from seqmodels.config.recurrent import RecurrentEncoderConfig
from seqmodels.config.tasks import ClassificationConfig, TaggingConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig
from seqmodels.config.transformers import BERTConfig

VARIANTS = ("gru", "tcn", "bert", "sites")

LENGTH = 61
MODELS: dict[str, ModelConfig] = {
    "gru": RecurrentEncoderConfig(cell="gru", model_dim=32, hidden_dim=48),
    "tcn": ConvolutionalConfig(num_layers=4, model_dim=32, hidden_dim=48, kernel_size=5),
    "bert": BERTConfig(
        num_layers=2, model_dim=64, num_heads=4, mlp_dim=128, max_length=LENGTH, num_token_types=1
    ),
    "sites": RecurrentEncoderConfig(cell="gru", model_dim=32, hidden_dim=48),
}


def get_config(variant: str) -> ExperimentConfig:
    tags = variant == "sites"
    return ExperimentConfig(
        model=MODELS[variant],
        data=ExamplesDataConfig(
            name="motifs",
            inputs=TokensConfig(
                column="sequence", max_length=LENGTH, class_token=variant == "bert"
            ),
            targets=TagsConfig(column="sites") if tags else LabelConfig(),
            batch_size=50,
            max_shapes=1,
            validation_fraction=0.1,
            test_fraction=0.1,
        ),
        task=TaggingConfig() if tags else ClassificationConfig(),
        optimizer=OptimizerConfig(peak_lr=3e-3, warmup_steps=50, weight_decay=0.01),
        training=TrainingConfig(
            num_steps=1600, log_every=80, evaluate_every=400, checkpoint_every=400
        ),
        evaluation=EvaluationConfig(batch_size=250),
    )
