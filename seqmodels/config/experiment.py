"""The config of an experiment: one dataclass with one section for each part."""

from __future__ import annotations

import dataclasses

from seqmodels.config.data import DataConfig
from seqmodels.config.models import ModelConfig
from seqmodels.config.tasks import TaskConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig


@dataclasses.dataclass
class ExperimentConfig:
    """Everything that determines a run. Built by `get_config(variant)` of a config file."""

    model: ModelConfig
    data: DataConfig
    task: TaskConfig
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)
