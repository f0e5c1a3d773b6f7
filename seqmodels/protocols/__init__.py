"""The protocols that the rooms exchange: model, feature, data, task, and the parts of a batch."""

from __future__ import annotations

from seqmodels.protocols.data import BatchSource, Data, Feature, Features, Part, Rows
from seqmodels.protocols.model import FittedModel, Model
from seqmodels.protocols.task import Answerer, Evaluate, Task, Trial

__all__ = [
    "Answerer",
    "BatchSource",
    "Data",
    "Evaluate",
    "Feature",
    "Features",
    "FittedModel",
    "Model",
    "Part",
    "Rows",
    "Task",
    "Trial",
]
