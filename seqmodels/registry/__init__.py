"""Registries that map names to classes: explicit tables of 'module:Class' strings.

A class is imported only when it is needed, so that a mistyped name is reported at once.
"""

from __future__ import annotations

import importlib
from typing import Any

from seqmodels.registry.datasets import DATASETS
from seqmodels.registry.entries import CellEntry, DatasetEntry, Entry
from seqmodels.registry.parts import CELLS, DATA, FEATURES, MODELS, TASKS

__all__ = [
    "CELLS",
    "DATA",
    "DATASETS",
    "FEATURES",
    "MODELS",
    "TASKS",
    "CellEntry",
    "DatasetEntry",
    "Entry",
    "resolve",
]


def resolve(reference: str) -> Any:
    """Imports 'module:Class' and returns the class."""
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)
