"""The protocols that the rooms exchange: model, feature, data, task, and the parts of a batch."""

from __future__ import annotations

from seqmodels.protocols.data import BatchSource, Data, Feature, Features, Part, Rows
from seqmodels.protocols.model import FittedModel, Model
from seqmodels.protocols.task import Answerer, Evaluate, Example, Given, Task, Trial

__all__ = [
    "Answerer",
    "BatchSource",
    "Data",
    "Evaluate",
    "Example",
    "Feature",
    "Features",
    "FittedModel",
    "Given",
    "Model",
    "Part",
    "Rows",
    "Task",
    "Trial",
]
