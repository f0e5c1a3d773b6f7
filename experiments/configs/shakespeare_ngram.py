"""Tiny Shakespeare, characters: interpolated modified Kneser-Ney of order 6.

    python launch.py train --config=shakespeare_ngram --workdir=runs/shakespeare_ngram
    python launch.py train --config=shakespeare_ngram:order7 --workdir=runs/order7

Goal: validation loss <= 1.53 nats per character (order 7: <= 1.52), in under 10 s. Interpolation
with one discount per order gives 1.558 (order 7: 1.565).
Measured 2026-11-21 on two cores of a shared Intel Xeon (AVX-512), jax 0.10.2, Python 3.11: order 6
has 1.5226 and order 7 has 1.5164; each takes 1 s to count and 3.5 s in all. The unigram has 3.3473.
The validation split is nanoGPT's: TFDS validation and test joined, 111,540 characters.
"""

from __future__ import annotations

from seqmodels.config.data import TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import NgramConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import EvaluationConfig, EvaluationContext

VARIANTS = ("order6", "order7")

ORDERS = {"order6": 6, "order7": 7}


def get_config(variant: str) -> ExperimentConfig:
    return ExperimentConfig(
        model=NgramConfig(order=ORDERS[variant]),
        data=TextDataConfig(
            name="tfds:tiny_shakespeare",
            validation_split="validation+test",
            test_split=None,
            unknown_symbols=False,
        ),
        task=LanguageModelConfig(),
        evaluation=EvaluationConfig(context=EvaluationContext.CARRY),
    )
