"""Typed settings of the tasks: forward, loss and metrics of one kind of problem."""

from __future__ import annotations

import dataclasses
from typing import ClassVar


@dataclasses.dataclass
class TaskConfig:
    """Base of all task configs; `kind` is the name in the registry."""

    kind: ClassVar[str] = ""


@dataclasses.dataclass
class LanguageModelConfig(TaskConfig):
    """Next-token prediction. `label_smoothing` moves that share of the target's mass to the
    uniform distribution in training; evaluation never smooths."""

    kind: ClassVar[str] = "language_model"
    label_smoothing: float = 0.0
