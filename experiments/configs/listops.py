"""ListOps up to 100 tokens, "[MAX 2 9 [MIN 4 7 ] 0 ]": the value of nested lists.

    python launch.py train --config=listops --workdir=runs/listops      # or :transformer
    python launch.py evaluate --workdir=runs/listops --split=test

Published, on the authors' data: LSTM about 71 %, Transformer about 57 % (Nangia and Bowman, 2018,
arXiv:1804.06028, and later work). Ours are made by another rule, see
`data.datasets.diagnostics_stacks`.

Measured 2026-11-30 on one of two cores of a shared Intel Xeon that other programs kept busy, jax
0.10.2, 5,000 steps of 64, seed 0 alone, on the test split: the LSTM has 45.3 % (64.2 % of lists of
3 and 4 tokens, 37.8 % of those above 64), the majority class 28.1 %: the goal of 71 % is missed.
The Transformer has 38.4 % (74.6 % of the shortest, 25.2 % of the longest).
"""

from __future__ import annotations

from experiments.configs._diagnostics import make_config, steps_of
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.transformers import GPTConfig, Position

VARIANTS = ("lstm", "transformer")

MODELS: dict[str, ModelConfig] = {
    "lstm": RecurrentConfig(cell="lstm", model_dim=64, hidden_dim=128),
    "transformer": GPTConfig(
        num_layers=3,
        model_dim=64,
        num_heads=4,
        mlp_dim=256,
        max_length=steps_of("listops"),
        position=Position.ROTARY,
        tie_embeddings=False,
    ),
}


def get_config(variant: str) -> ExperimentConfig:
    return make_config("listops", MODELS[variant], num_steps=5000, peak_lr=2e-3, max_shapes=4)
