"""Description of a work directory, made without loading arrays."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.finetuning import parse_parts
from seqmodels.config.serialization import show_value
from seqmodels.config.tasks import Metric
from seqmodels.protocols import BatchSource
from seqmodels.runs.changes import read_changes
from seqmodels.runs.opening import read_config
from seqmodels.runs.run import open_checkpoints, open_data
from seqmodels.runs.seals import SealState
from seqmodels.tasks.build import build_task


def describe(workdir: str | Path) -> dict[str, Any]:
    """Describes a run.

    Returns:
      A dict for JSON:
        workdir, model (its kind), num_steps (planned);
        changes: of the config while the run was resumed, see `read_changes`;
        checkpoints: a list of step, seal (sealed, unsealed, damaged, or unreadable if it is
          unsealed and its metadata do not load), damaged_files, metrics, and next_batch (step,
          epoch, index, batches_per_epoch), with which a resumed run would continue;
        best: step, metric, value; None without an evaluation;
        data_problem: why next_batch is unknown, otherwise None;
        parameters: a list of path, shape, dtype, count and trained (false if frozen) for the latest
          readable checkpoint;
        num_parameters, num_trained, num_bytes: their totals.

    Raises:
      UserError: not a work directory.
    """
    workdir = Path(workdir)
    config = read_config(workdir)
    source, problem = _open_source(workdir, config)
    with open_checkpoints(workdir, config) as checkpoints:
        metrics = checkpoints.metrics()
        described, shapes = [], {}
        for step in checkpoints.steps():
            seal, files = checkpoints.seal_state(step)
            readable = True
            if seal is not SealState.DAMAGED:
                try:
                    shapes = checkpoints.shapes(step)
                except Exception:  # orbax raises various errors for an incomplete save
                    readable = False
            described.append(
                {
                    "step": step,
                    "seal": str(seal) if readable else "unreadable",
                    "damaged_files": files,
                    "metrics": metrics.get(step, {}),
                    "next_batch": None if source is None else _next_batch(source, step),
                }
            )
    parts = parse_parts(config.optimizer.frozen, config.optimizer.lr_scales)
    parameters = [
        {
            "path": path,
            "shape": list(shape),
            "dtype": dtype,
            "count": math.prod(shape),
            "trained": not parts.is_frozen(path),
        }
        for path, (shape, dtype) in shapes.items()
    ]
    return {
        "workdir": str(workdir),
        "model": config.model.kind,
        "num_steps": 1 if config.model.fitted else config.training.num_steps,
        "changes": read_changes(workdir, config),
        "checkpoints": described,
        "best": _best(metrics, config.task.metric(config.training.best_metric)),
        "data_problem": problem,
        "parameters": parameters,
        "num_parameters": sum(row["count"] for row in parameters),
        "num_trained": sum(row["count"] for row in parameters if row["trained"]),
        "num_bytes": sum(row["count"] * np.dtype(row["dtype"]).itemsize for row in parameters),
    }


def _best(metrics: dict[int, dict[str, float]], metric: Metric) -> dict[str, Any] | None:
    """The step with the best value, the latest of equal ones; as `--step=best` chooses."""
    values = {step: row[metric.name] for step, row in metrics.items() if metric.name in row}
    if not values:
        return None
    step = min(values, key=lambda s: (metric.cost(values[s]), -s))
    return {"step": step, "metric": metric.name, "value": values[step]}


def _open_source(workdir: Path, config: ExperimentConfig) -> tuple[BatchSource | None, str | None]:
    """The batches of the run, or why they are not available."""
    if config.model.fitted:
        return None, None
    try:
        return open_data(workdir, config, build_task(config)).batches(config), None
    except UserError as error:
        return None, str(error)


def _next_batch(source: BatchSource, step: int) -> dict[str, int]:
    epoch, index = source.position(step + 1)
    return {
        "step": step + 1,
        "epoch": epoch,
        "index": index,
        "batches_per_epoch": source.batches_per_epoch,
    }


def render(description: dict[str, Any]) -> RenderableType:
    """Tables for a terminal, for rich to print."""
    best = description["best"]
    steps = Table("step", "seal", "metrics", "next batch", title="checkpoints")
    for row in description["checkpoints"]:
        mark = " (best)" if best and best["step"] == row["step"] else ""
        files = f": {', '.join(row['damaged_files'])}" if row["damaged_files"] else ""
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in row["metrics"].items())
        steps.add_row(f"{row['step']}{mark}", row["seal"] + files, metrics, _place(row))
    table = Table("parameter", "shape", "dtype", "count", title="parameters")
    table.columns[3].justify = "right"
    for row in description["parameters"]:
        shape = " x ".join(map(str, row["shape"])) or "scalar"
        mark = "" if row["trained"] else " (frozen)"
        table.add_row(row["path"] + mark, shape, row["dtype"], f"{row['count']:,}")
    table.add_section()
    megabytes = description["num_bytes"] / 1e6
    table.add_row("total", f"{megabytes:,.1f} MB", "", f"{description['num_parameters']:,}")
    if description["num_trained"] != description["num_parameters"]:
        table.add_row("trained", "", "", f"{description['num_trained']:,}")
    saved = description["checkpoints"][-1]["step"] if description["checkpoints"] else 0
    lines = [
        f"{description['workdir']}: {description['model']}, saved up to step {saved} "
        f"of {description['num_steps']}"
    ]
    for entry in description["changes"]:
        fields = (
            f"{n}: {show_value(a)} -> {show_value(b)}" for n, (a, b) in entry["fields"].items()
        )
        lines.append(f"changed after step {entry['after_step']}: {'; '.join(fields)}")
    if description["data_problem"]:
        lines.append(f"data position unknown: {description['data_problem']}")
    return Group(*(Text(line) for line in lines), steps, table)


def _place(row: dict[str, Any]) -> str:
    place = row["next_batch"]
    if place is None:
        return ""
    return f"epoch {place['epoch']}, {place['index']} of {place['batches_per_epoch']}"
