"""`launch.py evaluate`: figures of a run on a split."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

from absl import flags

from experiments import distributed, program
from experiments.arguments import Arguments, Command, ConfigSource
from seqmodels.config.errors import UserError
from seqmodels.runs.opening import parse_step

DOC = """Evaluates a run on held-out data, beside its baseline.

Needs the work directory and the data, and writes evaluations/<split>-<step>.json. Changed data are
refused. --config.data.FIELD and --config.evaluation.FIELD may be overridden, to evaluate on other
data or with another context; the result then goes to a file of its own. Pairs are translated too,
by the beam search of evaluation.beam_size and so on, and compared with their targets: BLEU and chrF
by sacrebleu.

With --choices a language model answers questions instead: by the answer that is most likely behind
the prompt. Each line of the file is {"prompt": text, "choices": [text, ..], "answer": number from
0}; --num_shots of them are shown, with their answers, before each of the others. Nothing of data is
read then, and of evaluation only batch_size may be overridden.
"""
CHOICES_FIELD = "evaluation.batch_size"
"""The one field of the config that --choices obeys."""


def define(values: flags.FlagValues) -> None:
    program.define_workdir(values)
    program.define_json(values)
    program.define_step(values)
    distributed.define(values)
    string, integer = flags.DEFINE_string, flags.DEFINE_integer
    string("split", "validation", "validation or test (or train)", flag_values=values)
    string("choices", None, "file of questions with answers to choose from", flag_values=values)
    integer("num_shots", 0, "of its questions shown as examples", 0, flag_values=values)


def run(arguments: Arguments) -> int:
    workdir, config = arguments.workdir, arguments.experiment
    step = parse_step(arguments.flags.step)
    distributed.check(arguments)
    if arguments.flags.choices is not None:
        return choose(arguments, step)
    if arguments.flags["num_shots"].present:
        raise UserError("--num_shots: is only for --choices=FILE")
    program.set_up_jax(config)
    distributed.start(arguments)
    from rich.console import Group

    from seqmodels.distributed.processes import is_main
    from seqmodels.evaluation.evaluate import evaluate_run, write_result
    from seqmodels.runs.run import load_run, open_data

    run = dataclasses.replace(load_run(workdir, step), config=config)
    data = open_data(workdir, config, run.task, others=arguments.overrides_data)
    overrides = dict(arguments.overrides)
    result = evaluate_run(run, data, arguments.flags.split)
    shown = {**result, "overrides": overrides} if overrides else result
    if not is_main():
        return program.DONE
    # Printed first: a result that cannot be written is not lost.
    program.answer(arguments, shown, Group(*run.task.tables(result, run.unit)))
    path = write_result(workdir, result, overrides)
    if not arguments.flags.json:
        program.say(f"written to {path}")
    return program.DONE


def choose(arguments: Arguments, step: str | int) -> int:
    """Has a language model answer questions."""
    asked, workdir, config = arguments.flags, arguments.workdir, arguments.experiment
    if not config.task.continues_text:
        raise UserError(
            f"--choices={asked.choices}: is for task.kind=language_model; this run's is "
            f"{config.task.kind}"
        )
    for name in ("split", "distributed"):
        if asked[name].present:
            raise UserError(f"--{name}={asked[name].value}: has no meaning with --choices")
    for name, text in arguments.overrides:
        if name != CHOICES_FIELD:
            raise UserError(
                f"--config.{name}={text}: has no meaning with --choices; {CHOICES_FIELD} may be set"
            )
    from seqmodels.data.choices import read_questions
    from seqmodels.data.datasets.text_file import find_file

    path = find_file("--choices", asked.choices)
    questions = read_questions(path, asked.num_shots)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    program.set_up_jax(config)
    from seqmodels.evaluation.choices import evaluate_choices
    from seqmodels.evaluation.evaluate import write_result
    from seqmodels.runs.run import load_run

    run = load_run(workdir, step)
    found = evaluate_choices(run, questions, config.evaluation.batch_size)
    shots = f"-{asked.num_shots}shots" if asked.num_shots else ""
    # Files of one name, and one that was changed, ask other questions.
    name = f"choices-{path.stem}-{digest[:8]}{shots}"
    result = {"step": run.step, "split": name, "choices": str(path), "sha256": digest}
    result |= {"num_shots": asked.num_shots, **found}
    program.answer(arguments, result, choices_table(result))
    written = write_result(workdir, result)
    if not asked.json:
        program.say(f"written to {written}")
    return program.DONE


def choices_table(result: dict[str, Any]) -> Any:
    """The accuracies, beside those of no prompt and of a blind guess."""
    from rich.table import Table

    names = ("accuracy", "accuracy_per_token")
    title = f"{result['num_questions']:,} questions, step {result['step']}"
    table = Table("", "accuracy", "accuracy by log p a token", title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    guess = dict.fromkeys(names, result["chance"])
    for name, row in (("chance", guess), ("no prompt", result["baseline"]), ("this run", result)):
        table.add_row(name, *(f"{row[n]:.4f}" for n in names))
    return table


COMMAND = Command(
    "evaluate", DOC, run, define, ConfigSource.WORKDIR, overridable=("data", "evaluation")
)

if __name__ == "__main__":
    program.end(program.main(COMMAND))
