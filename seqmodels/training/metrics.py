"""(sum, weight) pairs: added over micro-batches, steps, devices and ragged batches alike."""

from __future__ import annotations

import jax

from seqmodels.types import Metrics


def merge(a: Metrics, b: Metrics) -> Metrics:
    """Adds two sets of the same names."""
    return jax.tree.map(lambda x, y: x + y, a, b)


def means(metrics: Metrics) -> dict[str, float]:
    """sum / weight of each, on the host; NaN where the weight is 0."""
    host = jax.device_get(metrics)
    return {
        name: float(total) / float(weight) if weight else float("nan")
        for name, (total, weight) in host.items()
    }
