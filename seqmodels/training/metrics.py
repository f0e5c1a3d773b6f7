"""Metrics as (sum, weight) pairs, which add exactly over micro-batches, steps and devices."""

from __future__ import annotations

import jax

from seqmodels.types import Metrics


def merge(a: Metrics, b: Metrics) -> Metrics:
    """Adds two sets of metrics with the same names."""
    return jax.tree.map(lambda x, y: x + y, a, b)


def means(metrics: Metrics) -> dict[str, float | None]:
    """Returns sum / weight of each on the host; None where the weight is 0."""
    host = jax.device_get(metrics)
    return {
        name: float(total) / float(weight) if weight else None
        for name, (total, weight) in host.items()
    }
