"""Sequence models in JAX: a model is a function of a chunk and a carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqmodels.runs.run import Run, generate_text, load_run

__version__ = "0.1.0"
__all__ = ["Run", "generate_text", "load_run"]


def __getattr__(name: str) -> Any:
    # Imported when asked for: the front door imports this package and must not pay for jax.
    if name in __all__:
        from seqmodels.runs import run

        return getattr(run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
