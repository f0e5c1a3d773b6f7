"""`launch.py batch`: shows the batch of a step."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import flags

from experiments import program
from experiments.arguments import Arguments, Command, ConfigSource
from seqmodels.config.errors import UserError

if TYPE_CHECKING:
    from seqmodels.protocols import Data, Features, Task
    from seqmodels.types import Batch

DOC = """Shows the exact batch that a step trains on, decoded row by row.

With --workdir it uses the tokenizer and data of that run, and refuses changed data.
"""


def define(values: flags.FlagValues) -> None:
    program.define_workdir(values, "use config and tokenizer of this run instead of --config")
    program.define_json(values)
    flags.DEFINE_integer("step", 1, "step number, from 1", lower_bound=1, flag_values=values)


def run(arguments: Arguments) -> int:
    config, step = arguments.experiment, arguments.flags.step
    if config.model.fitted:
        raise UserError(f"model.kind={config.model.kind} is fitted in one pass and has no batches")
    if arguments.config_name is not None and arguments.flags.workdir is not None:
        raise UserError("--config and --workdir: give only one of the two")
    from seqmodels.tasks.build import build_task

    task = build_task(config)
    data = _load(arguments, task)
    source = data.batches(config)
    batch = source.batch(step)
    epoch, index = source.position(step)
    rows = [_row(task, data.features, batch, row) for row in range(len(batch.inputs))]
    values = {
        "step": step,
        "epoch": epoch,
        "index": index,
        "batches_per_epoch": source.batches_per_epoch,
        "rows": rows,
    }
    shape = " x ".join(map(str, batch.inputs.shape))
    lines = [f"step {step}: epoch {epoch}, batch {index} of {source.batches_per_epoch}, {shape}"]
    for number, row in enumerate(rows):
        counted = f"{np.sum(batch.loss_weights[number]):.0f} targets"
        if bad := _not_finite(batch, number):
            counted += f"; not finite: {', '.join(bad)}"
        lines.append(f"--- row {number}, {counted}\n{row['text']}")
    program.answer(arguments, values, "\n".join(lines))
    return program.DONE


def _load(arguments: Arguments, task: Task) -> Data:
    from seqmodels.data.pipeline import load_data
    from seqmodels.runs.run import open_data

    config = arguments.experiment
    if arguments.flags.workdir is None:
        return load_data(config, task)
    return open_data(arguments.workdir, config, task, others=arguments.overrides_data)


def _row(task: Task, features: Features, batch: Batch, row: int) -> dict[str, Any]:
    """One row: as the task shows it, and its numbers, but for those of an image."""
    numbers = {name: x.tolist() for name, x in _arrays(batch, row).items() if x.ndim <= 1}
    if "inputs" in numbers and batch.segment_ids is None:
        numbers["segment_ids"] = [1] * len(numbers["inputs"])
    return {"text": task.show(batch, row, features), **numbers}


def _arrays(batch: Any, row: int) -> dict[str, np.ndarray]:
    """The arrays of one row by name."""
    arrays = {field.name: vars(batch)[field.name] for field in dataclasses.fields(batch)}
    return {name: np.asarray(array[row]) for name, array in arrays.items() if array is not None}


def _not_finite(batch: Any, row: int) -> list[str]:
    """Names of arrays with a NaN or an infinity in a row, which would stop a run."""
    arrays = _arrays(batch, row).items()
    return [name for name, x in arrays if x.dtype.kind == "f" and not np.isfinite(x).all()]


COMMAND = Command("batch", DOC, run, define, ConfigSource.EITHER)

if __name__ == "__main__":
    program.end(program.main(COMMAND))
