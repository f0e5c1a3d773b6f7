"""The table of a sweep: mean and spread of its finished runs, best first. Imports no jax."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from seqmodels.config.serialization import show_value
from seqmodels.config.tasks import Metric
from seqmodels.files import replacing
from seqmodels.runs.rows import METRICS, costs_of, read_rows
from seqmodels.runs.workdir import write_json
from seqmodels.sweeps.grid import name_of, short_names
from seqmodels.sweeps.manifest import Manifest
from seqmodels.sweeps.states import State, Status

SEED = "training.seed"


@dataclasses.dataclass(frozen=True)
class Point:
    """The runs that differ in nothing but their seed.

    Attributes:
      values: swept field, except for the seed -> value.
      results: name of each finished run -> its best value.
      missing: name of each other run -> why it does not count, in words.
    """

    values: dict[str, Any]
    results: dict[str, float]
    missing: dict[str, str]

    @property
    def name(self) -> str:
        return name_of(self.values) or "all seeds"

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.results.values()) if self.results else None

    @property
    def spread(self) -> float | None:
        """The standard deviation (n - 1 in the denominator); None for fewer than two runs."""
        return statistics.stdev(self.results.values()) if len(self.results) > 1 else None


@dataclasses.dataclass(frozen=True)
class Summary:
    """A sweep's results.

    Attributes:
      metric: the best value of the validation split decides.
      fields: the swept fields, except for the seed.
      points: best first; those without a finished run at the end.
      baseline: name and value; None where it is not known.
    """

    metric: Metric
    fields: list[str]
    points: list[Point]
    baseline: tuple[str, float] | None

    def to_json(self) -> dict[str, Any]:
        points = [
            {
                "name": point.name,
                **dataclasses.asdict(point),
                "mean": point.mean,
                "spread": point.spread,
            }
            for point in self.points
        ]
        base = None
        if self.baseline is not None:
            base = {"name": self.baseline[0], "value": self.baseline[1]}
        return {"metric": self.metric.name, "points": points, "baseline": base}


def summarize(
    root: Path,
    manifest: Manifest,
    statuses: Mapping[str, Status],
    baseline: tuple[str, float] | None,
) -> Summary:
    """Collects the results of the finished runs, by what they differ in besides their seed."""
    config = manifest.base
    metric = config.task.metric(config.training.best_metric)
    fields = [field for field in manifest.sweeps if field != SEED]
    found: dict[str, Point] = {}
    for name, values in manifest.runs.items():
        kept = {field: values[field] for field in fields}
        point = found.setdefault(json.dumps(kept), Point(kept, {}, {}))
        status = statuses[name]
        if status.state is State.DONE:
            cost = min(costs_of(read_rows(root / name / METRICS), metric))
            point.results[name] = metric.cost(cost)  # its own inverse
        else:
            point.missing[name] = f"{status.state}: {status.note}".removesuffix(": ")
    cost = lambda p: math.inf if p.mean is None else metric.cost(p.mean)
    return Summary(metric, fields, sorted(found.values(), key=cost), baseline)


def write_tables(root: Path, summary: Summary) -> list[Path]:
    """Writes table.json and table.csv, which has a row for each point and one for the baseline."""
    write_json(root / "table.json", summary.to_json())
    name = summary.metric.name
    with replacing(root / "table.csv") as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", *summary.fields, name, "spread", "runs", "missing"])
        for p in summary.points:
            row = [p.name, *(show_value(p.values[field]) for field in summary.fields)]
            writer.writerow([*row, p.mean, p.spread, len(p.results), "; ".join(p.missing)])
        if summary.baseline is not None:
            what, value = summary.baseline
            writer.writerow([f"baseline: {what}", *("" for _ in summary.fields), value, "", "", ""])
    return [root / "table.json", root / "table.csv"]


def draw_table(summary: Summary) -> RenderableType:
    """The table of a terminal, and a line for each run that does not count."""
    metric, short = summary.metric, short_names(summary.fields)
    title = f"validation {metric.name.replace('_', ' ')} ({metric.unit})"
    columns = [short[field] for field in summary.fields] or [""]
    table = Table(*columns, metric.name, "spread", "runs", title=title)
    rows: list[tuple[float, list[str]]] = []
    for p in summary.points:
        cells = [show_value(p.values[field]) for field in summary.fields] or [p.name]
        mean = "" if p.mean is None else f"{p.mean:.4f}"
        spread = "" if p.spread is None else f"{p.spread:.4f}"
        count = f"{len(p.results)} of {len(p.results) + len(p.missing)}"
        cost = math.inf if p.mean is None else metric.cost(p.mean)
        rows.append((cost, [*cells, mean, spread, count]))
    if summary.baseline is not None:
        what, value = summary.baseline
        cells = [f"baseline: {what}", *("" for _ in columns[1:])]
        rows.append((metric.cost(value), [*cells, f"{value:.4f}", "", ""]))
    for _, cells in sorted(rows, key=lambda row: row[0]):
        table.add_row(*cells)
    return Group(table, *missing_lines(summary.points))


def missing_lines(points: Sequence[Point]) -> list[str]:
    """A line for each run that is not in the means."""
    left = {name: why for point in points for name, why in point.missing.items()}
    return [f"not counted: {name}: {why}" for name, why in left.items()]
