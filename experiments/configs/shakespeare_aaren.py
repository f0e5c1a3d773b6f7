"""Tiny Shakespeare, characters: Aaren against a Transformer of the same size.

    python launch.py train --config=shakespeare_aaren:aaren --workdir=runs/shakespeare_aaren
    python launch.py train --config=shakespeare_aaren:transformer --workdir=runs/shakespeare_rival

Feng et al., 2024, arXiv:2405.13956: attention as a recurrence with one learned query per layer, so
each layer has exactly model_dim more parameters, and the state has a constant size while decoding.
The size is that of `shakespeare_gpt:cpu`, with biases and sinusoidal positions for both models:
802,176 and 801,664 parameters.
Measured 2026-11-21 on two cores of a shared Intel Xeon, jax 0.10.2, seed 0 (one seed each), while
other programs were running: Aaren has 1.8950 and the Transformer 1.8256 nats per character over
windows of 64, and Kneser-Ney of order 6 has 1.5226. Attention with a fixed query does slightly
worse than attention.
The validation split is nanoGPT's: TFDS validation and test joined, 111,540 characters.
"""

from __future__ import annotations

from seqmodels.config.data import TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig
from seqmodels.config.transformers import AarenConfig, GPTConfig, Position

VARIANTS = ("aaren", "transformer")


def get_config(variant: str) -> ExperimentConfig:
    size = {"num_layers": 4, "num_heads": 4, "model_dim": 128, "mlp_dim": 512, "use_bias": True}
    rival = GPTConfig(max_length=64, position=Position.SINUSOIDAL, **size)
    return ExperimentConfig(
        model=AarenConfig(**size) if variant == "aaren" else rival,
        data=TextDataConfig(
            name="tfds:tiny_shakespeare",
            validation_split="validation+test",
            test_split=None,
            unknown_symbols=False,
            sequence_length=64,
            batch_size=12,
        ),
        task=LanguageModelConfig(),
        optimizer=OptimizerConfig(
            peak_lr=4e-3, final_lr=1e-4, warmup_steps=100, beta2=0.99, weight_decay=0.1
        ),
        training=TrainingConfig(num_steps=2000),
        evaluation=EvaluationConfig(sequence_length=64, batch_size=64),
    )
