"""Data and settings that the configs of the diagnostics share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seqmodels.config.data import ExamplesDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import (
    FeatureConfig,
    LabelConfig,
    Normalisation,
    TagsConfig,
    TokenizerKind,
    TokensConfig,
    ValuesConfig,
)
from seqmodels.config.models import ModelConfig
from seqmodels.config.regression import RegressionConfig
from seqmodels.config.tasks import ClassificationConfig, TaggingConfig, TaskConfig
from seqmodels.config.training import EvaluationConfig, OptimizerConfig, TrainingConfig
from seqmodels.registry import DATASETS

LONGEST: dict[str, Callable[[int], int]] = {
    "adding": lambda size: 2 * size,
    "copy": lambda size: 2 * size + 20,
    "selective_copy": lambda size: 2 * size + 16,
    "recall": lambda size: 32 * size,
    "induction": lambda size: 4 * size,
    "parity": lambda size: 5 * size,
    "even_pairs": lambda size: 5 * size,
    "cycle_navigation": lambda size: 5 * size,
    "modular_arithmetic": lambda size: 5 * size,
    "a5_words": lambda size: 5 * size,
    "reverse": lambda size: 10 * size,
    "duplicate": lambda size: 15 * size,
    "bucket_sort": lambda size: 10 * size,
    "dyck": lambda size: 5 * size,
    "listops": lambda size: 2 * size,
}
"""Most steps of an example, those of the split `longer` included, by the size of training."""
SIZES = {
    **dict.fromkeys(LONGEST, 40),
    **dict.fromkeys(("a5_words", "reverse", "duplicate", "bucket_sort"), 20),
    **dict.fromkeys(("adding", "copy", "listops"), 100),
    "selective_copy": 256,
    "recall": 4,
    "induction": 64,
}
"""The sizes without `:SIZE`."""


def steps_of(name: str) -> int:
    """The most steps of an example of `NAME` or `NAME:SIZE`."""
    name, _, size = name.partition(":")
    return LONGEST[name](int(size) if size else SIZES[name])


def make_data(name: str, **data: Any) -> ExamplesDataConfig:
    """The data of a diagnostic, `NAME` or `NAME:SIZE`."""
    inputs, target = DATASETS[name.partition(":")[0]].columns or ("", "")
    features: dict[str, FeatureConfig] = {
        "text": TokensConfig(tokenizer=TokenizerKind.WORD, max_length=steps_of(name)),
        "values": ValuesConfig(normalisation=Normalisation.NONE, max_length=steps_of(name)),
        "label": LabelConfig(),
        "tags": TagsConfig(ignored="."),
        "target": ValuesConfig(column="target", normalisation=Normalisation.NONE, max_length=1),
    }
    return ExamplesDataConfig(
        name=name,
        inputs=features[inputs],
        targets=features[target],
        **{"batch_size": 64, "max_shapes": 2, **data},
    )


def make_task(name: str) -> TaskConfig:
    """The task of a diagnostic."""
    _, target = DATASETS[name.partition(":")[0]].columns or ("", "")
    tasks = {"label": ClassificationConfig, "tags": TaggingConfig, "target": RegressionConfig}
    return tasks[target]()


def make_config(
    name: str,
    model: ModelConfig,
    *,
    num_steps: int,
    peak_lr: float,
    evaluate_every: int = 500,
    optimizer: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
    **data: Any,
) -> ExperimentConfig:
    """An experiment with a diagnostic; the best checkpoint is that of the highest accuracy."""
    task = make_task(name)
    metric = "accuracy" if "accuracy" in {m.name for m in task.metrics} else "loss"
    return ExperimentConfig(
        model=model,
        data=make_data(name, **data),
        task=task,
        optimizer=OptimizerConfig(**{"peak_lr": peak_lr, **(optimizer or {})}),
        training=TrainingConfig(
            num_steps=num_steps,
            log_every=100,
            evaluate_every=evaluate_every,
            checkpoint_every=evaluate_every,
            best_metric=metric,
            keep_checkpoints=1,
            **(training or {}),
        ),
        evaluation=EvaluationConfig(batch_size=250),
    )
