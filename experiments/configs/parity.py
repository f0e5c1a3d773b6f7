"""Parity of up to 40 bits, tested on 41 to 200, by networks that can and networks that cannot.

    python launch.py train --config=parity --workdir=runs/parity      # or :rnn, :min_gru, :gpt
    python launch.py evaluate --workdir=runs/parity --split=longer

Measured 2026-11-30 on one of two cores of an Intel Xeon, jax 0.10.2, 4,000 steps, five seeds, at 41
to 200 bits: the LSTM has 100 % with all of them, the RNN with one (63.8 +- 23 %; chance is 50). The
published 100 % of both are the best of many seeds after a million steps (Deletang et al., 2022).
With one seed, minGRU, whose gate does not see the state, has 50.6 % and attention 50.2 %, which is
chance, as the theory of both says.
"""

from __future__ import annotations

from experiments.configs._diagnostics import make_config, steps_of
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import ModelConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.transformers import GPTConfig, Position

VARIANTS = ("lstm", "rnn", "min_gru", "gpt")


def make_model(variant: str, length: int) -> ModelConfig:
    """The models that parity and even pairs share."""
    if variant == "gpt":
        return GPTConfig(
            num_layers=2,
            model_dim=64,
            num_heads=4,
            mlp_dim=128,
            max_length=length,
            position=Position.ROTARY,
            tie_embeddings=False,
        )
    layers = 2 if variant == "min_gru" else 1
    return RecurrentConfig(cell=variant, num_layers=layers, model_dim=16, hidden_dim=64)


def get_config(variant: str) -> ExperimentConfig:
    return make_config(
        "parity", make_model(variant, steps_of("parity")), num_steps=4000, peak_lr=3e-3
    )
