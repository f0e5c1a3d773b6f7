"""`launch.py evaluate`: figures of a run on a split."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from absl import flags

from experiments import program
from experiments.arguments import Arguments, Command, ConfigSource

DOC = """Evaluates a run on held-out data, beside the n-gram baseline.

Needs nothing but the work directory, and writes evaluations/<split>-<step>.json into it.
--config.data.FIELD and --config.evaluation.FIELD may be overridden, to evaluate on other data or
with another context.
"""


def define(values: flags.FlagValues) -> None:
    program.define_workdir(values)
    program.define_json(values)
    program.define_step(values)
    flags.DEFINE_string("split", "validation", "validation or test (or train)", flag_values=values)


def run(arguments: Arguments) -> int:
    workdir, config = arguments.workdir, arguments.experiment
    step = program.checked_step(arguments)
    program.set_up_jax(config)
    from seqmodels.data.pipeline import load_data
    from seqmodels.evaluation.run import evaluate_run, load_run
    from seqmodels.training.workdir import write_json

    run = dataclasses.replace(load_run(workdir, step), config=config)
    data = load_data(config, run.tokenizer)
    result, path = evaluate_run(run, data, arguments.flags.split)
    if arguments.overrides:
        # The figures of other data or of another context must not pass for those of the run.
        result = {**result, "overrides": dict(arguments.overrides)}
        write_json(path, result)
    program.answer(arguments, result, table(result, run.tokenizer.kind))
    if not arguments.flags.json:
        program.say(f"written to {path}")
    return program.DONE


def table(result: dict[str, Any], unit: str) -> Any:
    """The baseline and the run, one a row; `unit` is what a token stands for."""
    from rich.table import Table

    title = f"{result['split']}, step {result['step']}, context {result['context']}"
    table = Table("", f"loss (nats/{unit})", "bits/byte", "perplexity", "targets", title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    base = result["baseline"]
    rows = [(f"{base['model']} of order {base['order']}", base), ("this run", result)]
    for name, row in rows:
        bits = f"{row['bits_per_byte']:.4f}" if "bits_per_byte" in row else "-"
        targets = f"{row['num_targets']:,}" if "num_targets" in row else ""
        table.add_row(name, f"{row['loss']:.4f}", bits, f"{row['perplexity']:.3f}", targets)
    return table


COMMAND = Command(
    "evaluate", DOC, run, define, ConfigSource.WORKDIR, overridable=("data", "evaluation")
)

if __name__ == "__main__":
    sys.exit(program.main(COMMAND))
