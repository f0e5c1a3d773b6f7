"""`launch.py evaluate`: figures of a run on a split."""

from __future__ import annotations

import dataclasses
from typing import Any

from absl import flags

from experiments import distributed, program
from experiments.arguments import Arguments, Command, ConfigSource
from seqmodels.evaluation.opening import parse_step

DOC = """Evaluates a run on held-out data, beside its baseline.

Needs the work directory and the data, and writes evaluations/<split>-<step>.json. Changed data are
refused. --config.data.FIELD and --config.evaluation.FIELD may be overridden, to evaluate on other
data or with another context; the result then goes to a file of its own.
"""


def define(values: flags.FlagValues) -> None:
    program.define_workdir(values)
    program.define_json(values)
    program.define_step(values)
    distributed.define(values)
    flags.DEFINE_string("split", "validation", "validation or test (or train)", flag_values=values)


def run(arguments: Arguments) -> int:
    workdir, config = arguments.workdir, arguments.experiment
    step = parse_step(arguments.flags.step)
    distributed.check(arguments)
    program.set_up_jax(config)
    distributed.join(arguments)
    from seqmodels.evaluation.evaluate import write_result
    from seqmodels.evaluation.run import evaluate_run, load_run, open_data
    from seqmodels.training.processes import is_main

    run = dataclasses.replace(load_run(workdir, step), config=config)
    data = open_data(workdir, config, others=arguments.overrides_data)
    overrides = dict(arguments.overrides)
    result = evaluate_run(run, data, arguments.flags.split)
    shown = {**result, "overrides": overrides} if overrides else result
    if not is_main():
        return program.DONE
    # Told first: a result that cannot be written is not lost.
    program.answer(arguments, shown, table(result, run.unit))
    path = write_result(workdir, result, overrides)
    if not arguments.flags.json:
        program.say(f"written to {path}")
    return program.DONE


def table(result: dict[str, Any], unit: str) -> Any:
    """The baseline and the run, one a row; `unit` is what a target stands for."""
    from rich.table import Table

    title = f"{result['split']}, step {result['step']}"
    if "context" in result:
        title += f", context {result['context']}"
    base = result["baseline"]
    shares = ["accuracy" if "accuracy" in base else "bits_per_byte"]
    more = ("f1", "calibration_error", "sequence_accuracy", "perplexity")
    shares += [name for name in more if name in result]
    names = [name.replace("_per_", "/").replace("_", " ") for name in shares]
    columns = (f"loss (nats/{unit})", *names, "targets")
    table = Table("", *columns, title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    order = f" of order {base['order']}" if "order" in base else ""
    others = [(other["model"], other) for other in base.get("beside", ())]
    for name, row in (*others, (f"{base['model']}{order}", base), ("this run", result)):
        shown = [f"{row[share]:.4f}" if share in row else "-" for share in shares]
        targets = f"{row['num_targets']:,}" if "num_targets" in row else ""
        table.add_row(name, f"{row['loss']:.4f}", *shown, targets)
    return table


COMMAND = Command(
    "evaluate", DOC, run, define, ConfigSource.WORKDIR, overridable=("data", "evaluation")
)

if __name__ == "__main__":
    program.end(program.main(COMMAND))
