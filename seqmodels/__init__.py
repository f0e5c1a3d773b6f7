"""Sequence models in JAX: a model is a function of a chunk and a carry."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqmodels.runs.generate import generate_text
    from seqmodels.runs.run import Run, load_run

__version__ = "0.1.0"
__all__ = ["Run", "generate_text", "load_run"]

_MODULES = {
    "Run": "seqmodels.runs.run",
    "generate_text": "seqmodels.runs.generate",
    "load_run": "seqmodels.runs.run",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: the front door imports this package and must not pay for jax.
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
