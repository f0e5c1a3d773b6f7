"""The guess that is known exactly, of data sets that are made by rule."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from seqmodels.protocols import Trial


@runtime_checkable
class KnownChance(Protocol):
    """A data set that knows how well one does without looking, or without remembering."""

    def chance(self) -> dict[str, Any]:
        """Returns model (a name) and the figures of its best guess."""
        ...


def with_chance(trial: Trial, baseline: dict[str, Any]) -> dict[str, Any]:
    """A baseline with the exact guess of its data set, where that is known, in `beside`."""
    dataset: Any = vars(trial.data).get("dataset")
    if not isinstance(dataset, KnownChance):
        return baseline
    return {**baseline, "beside": [dataset.chance(), *baseline.get("beside", [])]}
