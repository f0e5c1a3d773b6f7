"""Small valid configs of every kind of model."""

from __future__ import annotations

import copy

from seqmodels.config.data import TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import ModelConfig, NgramConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.tasks import LanguageModelConfig, MaskedLanguageModelConfig
from seqmodels.config.transformers import GPTConfig


def make(model: ModelConfig | None = None) -> ExperimentConfig:
    """A config that `validate` accepts."""
    model = copy.deepcopy(model) if model else GPTConfig()  # tests change what they get
    task = LanguageModelConfig() if model.causal else MaskedLanguageModelConfig()
    config = ExperimentConfig(model, TextDataConfig(), task)
    config.data.sequence_length = config.evaluation.sequence_length = 64  # type: ignore
    return config


MODELS: tuple[ModelConfig, ...] = (NgramConfig(), RecurrentConfig(), GPTConfig())
