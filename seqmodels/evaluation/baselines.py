"""The best of the baselines that an evaluation has found. Imports no jax."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def best_baseline(
    found: Mapping[str, Any], metric: str, *, lower_is_better: bool
) -> tuple[str, float] | None:
    """The name and the value of the best baseline of an evaluation; None if there is none.

    Args:
      found: of `evaluate_run`.
      metric: the name of the metric that decides.
    """
    base = found.get("baseline")
    rows = [] if base is None else [base, *base.get("beside", [])]
    rows += found.get("translation_baselines", [])
    values = [(row.get("model", "baseline"), row[metric]) for row in rows if metric in row]
    if not values:
        return None
    return (min if lower_is_better else max)(values, key=lambda pair: pair[1])
