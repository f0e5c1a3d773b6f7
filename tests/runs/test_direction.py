"""Whether a lower or a higher value is better, the metric says: patience, inspect and follow."""

from __future__ import annotations

from typing import Any

import pytest

from seqmodels.config.files import load_config
from seqmodels.config.tasks import ACCURACY, LOSS, Metric
from seqmodels.runs import follow_views, inspect
from seqmodels.runs.rows import costs_of, stops_early

VALUES = (0.25, 0.75, 0.5, 0.625)


def rows_of(values: tuple[float, ...], metric: Metric) -> list[dict[str, Any]]:
    """An evaluation every second step, between rows of training that say the contrary."""
    made: list[dict[str, Any]] = []
    for number, value in enumerate(values, 1):
        made.append({"step": 2 * number - 1, "split": "train", metric.name: 1 - value})
        made.append({"step": 2 * number, "split": "validation", metric.name: value})
    return made


@pytest.mark.parametrize(("metric", "since"), [(LOSS, 3), (ACCURACY, 2)], ids=["loss", "accuracy"])
def test_patience_counts_evaluations_since_the_best(metric: Metric, since: int) -> None:
    rows = rows_of(VALUES, metric)
    assert min(costs_of(rows, metric)) == (VALUES[0] if metric is LOSS else -VALUES[1])
    for patience in (1, 2, 3):
        assert stops_early(rows, metric, patience) == (patience <= since)
    assert not stops_early(rows, metric, 4) and not stops_early(rows, metric, None)


@pytest.mark.parametrize(("metric", "step"), [(LOSS, 2), (ACCURACY, 4)], ids=["loss", "accuracy"])
def test_the_best_step_is_shown(metric: Metric, step: int) -> None:
    config = load_config("order_lstm")
    config.training.best_metric = metric.name
    value = VALUES[step // 2 - 1]
    said = follow_views._best(rows_of(VALUES, metric), config)
    assert said == f"validation {metric.name} {value:.4f} at step {step}"
    saved = {2 * number: {metric.name: value} for number, value in enumerate(VALUES, 1)}
    saved |= {9: {}, 10: {metric.name: value}}
    # Of equal ones the latest, as `--step=best` chooses.
    assert inspect._best(saved, metric) == {"step": 10, "metric": metric.name, "value": value}
    assert inspect._best({9: {}}, metric) is None
