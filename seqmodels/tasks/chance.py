"""The guess that is known exactly, of data sets that are made by rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from seqmodels.protocols import Trial


@runtime_checkable
class KnownChance(Protocol):
    """A data set that knows how well one does without looking, or without remembering."""

    def chance(self) -> dict[str, Any]:
        """Returns model (a name) and the figures of its best guess."""
        ...


def with_chance(trial: Trial, baselines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The last of some baselines, with the others in `beside`.

    The exact guess of the data set, where that is known, comes before the others.
    """
    *others, last = baselines
    dataset: Any = vars(trial.data).get("dataset")
    if isinstance(dataset, KnownChance):
        others = [dataset.chance(), *others]
    return {**last, "beside": others} if others else last
