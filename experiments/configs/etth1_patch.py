"""ETTh1, 96 hours ahead, by a Transformer over patches of the last 336 hours (PatchTST).

python launch.py train --config=etth1_patch --workdir=runs/etth1_patch
python launch.py evaluate --workdir=runs/etth1_patch --split=test
"""

from __future__ import annotations

from experiments.configs._etth1 import etth1
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.forecasting import PatchTransformerConfig, WindowScale
from seqmodels.config.training import OptimizerConfig

VARIANTS = ("default",)


def get_config(variant: str) -> ExperimentConfig:
    del variant
    return etth1(
        PatchTransformerConfig(dropout_rate=0.3),
        window_scale=WindowScale.MEAN_DEVIATION,
        num_steps=1500,
        every=150,
        optimizer=OptimizerConfig(peak_lr=1e-3, warmup_steps=100),
    )
