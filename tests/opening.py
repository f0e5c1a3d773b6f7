"""How tests open data, set up training and evaluate: with a task built for the occasion."""

from __future__ import annotations

from typing import Any

from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.training import EvaluationConfig
from seqmodels.data.pipeline import load_data
from seqmodels.evaluation.evaluate import Evaluator, make_trial
from seqmodels.models.build import build_model
from seqmodels.protocols import Features, Task
from seqmodels.tasks.build import build_task
from seqmodels.training import setup
from seqmodels.types import DataSpec, Params


def load(config: ExperimentConfig, features: Features | None = None) -> Any:
    """Opens the data of an experiment."""
    return load_data(config, build_task(config), features)


def set_up(config: ExperimentConfig, spec: DataSpec, *, carries_state: bool) -> setup.Setup:
    """Makes the parts of a run."""
    return setup.set_up(config, build_task(config), spec, carries_state=carries_state)


def evaluate_split(
    model: Any,
    params: Params,
    data: Any,
    split: str,
    config: EvaluationConfig,
    task: Task,
    seed: int,
) -> dict[str, Any]:
    """Evaluates a model once."""
    return Evaluator(model, data, config, task, seed)(params, split)


def baseline(data: Any, split: str, config: ExperimentConfig) -> dict[str, Any]:
    """The baseline of a task on a split, next to a model that is not looked at."""
    data.check_split(split)
    model: Any = build_model(config.model, data.spec)
    task = build_task(config)
    return task.baseline(make_trial(model, {}, data, split, config, task))
