"""From a config to a task."""

from __future__ import annotations

from seqmodels import registry
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.protocols import Task


def build_task(config: ExperimentConfig) -> Task:
    """Builds the task that `config.task.kind` names; whoever owns a run does so once."""
    return registry.resolve(registry.TASKS[config.task.kind].implementation)(config.task)
