"""Shapes on noise, by a small ViT, an MLP and a perceptron: 32 x 32 pixels, four classes.

python launch.py train --config=demo_images --workdir=runs/demo_images
"""

from __future__ import annotations

from seqmodels.config.data import ImagesDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import MLPConfig, ModelConfig, PerceptronConfig
from seqmodels.config.tasks import ClassificationConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig
from seqmodels.config.transformers import ViTConfig

VARIANTS = ("vit", "mlp", "perceptron")

MODELS: dict[str, ModelConfig] = {
    "vit": ViTConfig(patch_size=4, num_layers=4, model_dim=64, num_heads=4, mlp_dim=128),
    "mlp": MLPConfig(num_layers=2, hidden_dim=256),
    "perceptron": PerceptronConfig(),
}


def get_config(variant: str) -> ExperimentConfig:
    return ExperimentConfig(
        model=MODELS[variant],
        data=ImagesDataConfig(name="shapes", batch_size=64),
        task=ClassificationConfig(),
        optimizer=OptimizerConfig(peak_lr=1e-3, warmup_steps=100, weight_decay=0.05),
        training=TrainingConfig(
            num_steps=1500, log_every=50, evaluate_every=500, checkpoint_every=500
        ),
        evaluation=EvaluationConfig(batch_size=250),
    )
