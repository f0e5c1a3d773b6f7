"""Figures by the length of the inputs, from sums that merge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from seqmodels.ops.losses import most_likely
from seqmodels.types import Metrics

NUM_BINS = 24
"""Bin i has the lengths 2**(i - 1) + 1 to 2**i; the last one all that are longer, too."""
BY_LENGTH = "by_length"


def length_bins(segment_ids: Integer[Array, "B T"]) -> Integer[Array, " B"]:
    """The bin of each row's number of steps."""
    lengths = (segment_ids > 0).sum(axis=1)
    bounds = 2 ** jnp.arange(NUM_BINS - 1)
    return (lengths[:, None] > bounds[None]).sum(axis=1)


def sum_by_length(
    values: Float[Array, "B ..."],
    weights: Float[Array, "B ..."],
    segment_ids: Integer[Array, "B T"] | None,
) -> Metrics:
    """Weighted sums by the length of the row, as arrays; nothing where the inputs have no steps.

    Args:
      values: of each target; anything where its weight is 0.
      weights: of each target.
      segment_ids: of the inputs.

    Returns:
      by_length: [bins] sums and [bins] weights.
    """
    if segment_ids is None:
        return {}
    weighted = jnp.where(weights > 0, values * weights, 0.0)
    rows = lambda x: x.reshape(len(x), -1).sum(axis=1)
    there = (length_bins(segment_ids)[:, None] == jnp.arange(NUM_BINS)[None]).astype(jnp.float32)
    sums = [(there * rows(x)[:, None]).sum(axis=0) for x in (weighted, weights)]
    return {BY_LENGTH: (sums[0], sums[1])}


def count_by_length(
    logits: Float[Array, "B ... C"],
    targets: Integer[Array, "B ..."],
    weights: Float[Array, "B ..."],
    segment_ids: Integer[Array, "B T"] | None,
) -> Metrics:
    """Right answers and targets by the length of the row; see `sum_by_length`."""
    return sum_by_length((most_likely(logits) == targets).astype(jnp.float32), weights, segment_ids)


def summarize_by_length(
    sums: Mapping[str, tuple[Any, Any]], metric: str = "accuracy"
) -> dict[str, Any]:
    """Turns `sum_by_length` over a split into its figures.

    Args:
      metric: the name of the mean.

    Returns:
      by_length: for each bin with a target shortest, longest, the metric and num_targets; nothing
      where lengths were not counted.
    """
    if BY_LENGTH not in sums:
        return {}
    totals, counts = (np.asarray(x, np.float64) for x in sums[BY_LENGTH])
    rows = [
        {
            "shortest": 2 ** (i - 1) + 1 if i else 1,
            "longest": 2**i,
            metric: float(totals[i] / counts[i]),
            "num_targets": int(counts[i]),
        }
        for i in np.flatnonzero(counts).tolist()
    ]
    return {BY_LENGTH: rows}


def metric_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """The metric that `summarize_by_length` gave its rows."""
    return next(name for name in rows[0] if name not in ("shortest", "longest", "num_targets"))


def length_tables(result: Mapping[str, Any]) -> list[Any]:
    """The metrics by length, as tables of rich; empty if there is only one length."""
    from rich.table import Table

    rows = result.get(BY_LENGTH, [])
    if len(rows) < 2:
        return []
    metric = metric_of(rows)
    table = Table("steps", metric, "targets", title=f"{metric} by length")
    for column in table.columns:
        column.justify = "right"
    for row in rows:
        span = f"{row['shortest']} to {row['longest']}"
        table.add_row(span, f"{row[metric]:.4f}", f"{row['num_targets']:,}")
    return [table]
