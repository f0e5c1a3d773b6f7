"""ListOps up to 100 tokens, "[MAX 2 9 [MIN 4 7 ] 0 ]": the value of nested lists.

    python launch.py train --config=listops --workdir=runs/listops      # or :transformer
    python launch.py evaluate --workdir=runs/listops --split=test

Published, on the authors' data: LSTM about 71 %, Transformer about 57 % (Nangia and Bowman, 2018,
arXiv:1804.06028, and later work). Ours are made by another rule, see
`data.datasets.diagnostics_stacks`.

Not run yet.
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
