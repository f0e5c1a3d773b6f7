"""Vision Transformers in their published sizes: patches of 16, images of 224 x 224 pixels.

    python launch.py train --config=vit:base --workdir=runs/vit_base \
        --config.data.name=tfds:NAME

Parameters with 1000 classes, as tests/models/test_presets.py counts them: tiny 5,717,416, small
22,050,664, base 86,567,656, large 304,326,632 (Dosovitskiy et al., 2021, arXiv:2010.11929; tiny and
small are those of Touvron et al., 2021, arXiv:2012.12877). The built-in shapes, the default here,
have four classes.

The recipe follows "ViT-B/16 from scratch on ImageNet-1k" in the first paper: batches of 4096, Adam
with a peak learning rate of 3e-3, 10,000 warm-up steps, weight decay 0.3, clipping at 1, dropout
0.1; but cosine decay instead of linear. Not run at these sizes; `launch.py import` loads the
published weights.
"""

from __future__ import annotations

from experiments.configs._examples import classified_images
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.tasks import ClassificationConfig
from seqmodels.config.training import Dtype, EvaluationConfig, OptimizerConfig, TrainingConfig
from seqmodels.config.transformers import ViTConfig

VARIANTS = ("base", "tiny", "small", "large")

# Layers, width and heads.
SIZES = {
    "tiny": (12, 192, 3),
    "small": (12, 384, 6),
    "base": (12, 768, 12),
    "large": (24, 1024, 16),
}


def get_config(variant: str) -> ExperimentConfig:
    num_layers, model_dim, num_heads = SIZES[variant]
    return ExperimentConfig(
        model=ViTConfig(
            patch_size=16,
            num_layers=num_layers,
            model_dim=model_dim,
            num_heads=num_heads,
            mlp_dim=4 * model_dim,
            dropout_rate=0.1,
            remat=num_layers > 12,
        ),
        data=classified_images("shapes:224", size=224, batch_size=4096),
        task=ClassificationConfig(),
        optimizer=OptimizerConfig(peak_lr=3e-3, warmup_steps=10_000, weight_decay=0.3),
        training=TrainingConfig(
            num_steps=90_000,
            evaluate_every=1000,
            checkpoint_every=1000,
            accumulation_steps=32,
            dtype=Dtype.BFLOAT16,
        ),
        evaluation=EvaluationConfig(batch_size=128),
    )
