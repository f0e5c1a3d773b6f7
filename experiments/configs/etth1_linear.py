"""ETTh1, 96 hours ahead, by one linear map of the last 336 hours (NLinear).

python launch.py train --config=etth1_linear --workdir=runs/etth1_linear
python launch.py evaluate --workdir=runs/etth1_linear --split=test
"""

from __future__ import annotations

from experiments.configs._etth1 import etth1
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.forecasting import WindowForm, WindowLinearConfig
from seqmodels.config.training import OptimizerConfig

VARIANTS = ("plain", "decomposed")


def get_config(variant: str) -> ExperimentConfig:
    return etth1(
        WindowLinearConfig(form=WindowForm(variant)),
        batch_size=128,
        num_steps=3000,
        every=3000,
        optimizer=OptimizerConfig(peak_lr=1e-3, warmup_steps=50),
    )
