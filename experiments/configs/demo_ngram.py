"""The demonstration's baseline: Kneser-Ney of order 6 on the built-in Python documentation.

    python launch.py train --config=demo_ngram --workdir=runs/demo_ngram

Fitted in seconds; `make demo` prints it first, and then the LSTM and the GPT.
"""

from __future__ import annotations

from seqmodels.config.data import TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import NgramConfig
from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import EvaluationConfig, EvaluationContext

VARIANTS = ("default",)


def get_config(variant: str) -> ExperimentConfig:
    return ExperimentConfig(
        model=NgramConfig(order=6),
        data=TextDataConfig(name="python_docs"),
        task=LanguageModelConfig(),
        evaluation=EvaluationConfig(context=EvaluationContext.CARRY),
    )
