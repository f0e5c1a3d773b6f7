"""`launch.py evaluate`: metrics of a run on a split."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from experiments import distributed, program, spread
from experiments.arguments import Arguments, Command, ConfigSource
from seqmodels import registry
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.runs.opening import parse_step, read_config

if TYPE_CHECKING:
    from jax.sharding import Mesh

DOC = """Evaluates a run on held-out data and compares it with a baseline.

Needs the work directory and the data, and writes evaluations/<split>-<step>.json. Changed data are
refused. To evaluate on other data or with another context, override --config.data.FIELD or
--config.evaluation.FIELD; the result then goes to a separate file. Translation runs also translate
the sources, with beam search as set in the evaluation section, and sacrebleu scores the result
against the targets with BLEU and chrF. Pictures that a task draws, such as a confusion matrix, are
written next to the result unless --json is given.

With --input=FILE a whole file is evaluated instead of a split: for a language model a text (or a
glob of texts), else a table (.csv, .tsv, .jsonl), one file per column (corpus/new.{column}) or a
folder of images with a subfolder per class. Nothing else is read, so there is no baseline.

With --compare=DIR2 a second run is evaluated on the same rows. The result is the difference with
its paired bootstrap interval, a sign test over the rows, and the rows that differ most.

With --choices a language model answers multiple-choice questions instead, with the choice that is
most likely after the prompt. Each line of the file is {"prompt": text, "choices": [text, ..],
"answer": number from 0}; --num_shots of them are shown with their answers before each of the
others. The data are not read then, and only evaluation.batch_size may be overridden.
"""
_PLACES = ("name", "path", "train_path", "validation_path", "test_path", "feature")
"""Fields of the data that --input replaces."""
CHOICES_FIELD = "evaluation.batch_size"
"""The only field of the config that applies to --choices."""


def define(values: flags.FlagValues) -> None:
    program.define_workdir(values)
    program.define_json(values)
    program.define_step(values)
    distributed.define(values)
    spread.define(values)
    string, integer = flags.DEFINE_string, flags.DEFINE_integer
    string("split", "validation", "validation, test or train", flag_values=values)
    string("input", None, "file to evaluate on, or a glob of texts", flag_values=values)
    string("choices", None, "file of multiple-choice questions", flag_values=values)
    string("compare", None, "work directory of a second run, on the same rows", flag_values=values)
    integer("num_shots", 0, "number of questions shown as examples", 0, flag_values=values)


def run(arguments: Arguments) -> int:
    config, step = arguments.experiment, parse_step(arguments.flags.step)
    distributed.check(arguments)
    spread.check(arguments)
    if arguments.flags.choices is not None:
        return choose(arguments, step)
    if arguments.flags["num_shots"].present:
        raise UserError("--num_shots: needs --choices=FILE")
    if arguments.flags.compare is not None:
        return compare(arguments, step)
    given, split = arguments.flags.input, arguments.flags.split
    if given is not None:
        config, split = only_file(arguments), "test"
    config.task.check_evaluation(config)
    program.set_up_jax(config)
    distributed.start(arguments)
    with spread.over_mesh(arguments) as mesh:
        return evaluate(arguments, config, split, mesh)


def evaluate(arguments: Arguments, config: ExperimentConfig, split: str, mesh: Mesh | None) -> int:
    """Evaluates a split, or the rows of --input, with the parameters on a mesh."""
    workdir, given = arguments.workdir, arguments.flags.input
    from rich.console import Group

    from seqmodels.distributed.processes import is_main
    from seqmodels.evaluation.evaluate import draw_run, evaluate_run, write_result
    from seqmodels.runs.run import load_run, open_data

    step = parse_step(arguments.flags.step)
    run = dataclasses.replace(load_run(workdir, step, mesh), config=config)
    others = arguments.overrides_data or given is not None
    data = open_data(workdir, config, run.task, others=others)
    overrides = dict(arguments.overrides)
    result = evaluate_run(run, data, split)
    if given is not None:
        result |= {"split": name_input(given, data.fingerprint), "input": given}
    shown = {**result, "overrides": overrides} if overrides else result
    if not is_main():
        return program.DONE
    # Printed first: a result that cannot be written is not lost.
    program.answer(arguments, shown, Group(*run.task.tables(result, run.unit)))
    path = write_result(workdir, result, overrides)
    if not arguments.flags.json:
        program.say(f"written to {path}")
        for drawn in draw_run(run, data, split, result, path.with_suffix("")):
            program.say(f"written to {drawn}")
        if (picture := draw_by_length(workdir, result)) is not None:
            program.say(f"written to {picture}")
    return program.DONE


def compare(arguments: Arguments, step: str | int) -> int:
    """Compares a run with a second one on the rows of a split."""
    asked, config, split = arguments.flags, arguments.experiment, arguments.flags.split
    for name in ("input", "distributed", "mesh"):
        if asked[name].present:
            raise UserError(f"--{name}={asked[name].value}: has no effect with --compare")
    second = Path(asked.compare).expanduser()
    other = read_config(second, "--compare")
    if type(other.task) is not type(config.task):
        raise UserError(
            f"--compare={second}: its task.kind is {other.task.kind}, this run's {config.task.kind}"
        )
    if config.model.fitted or other.model.fitted:
        raise UserError("--compare: an n-gram is not evaluated row by row")
    program.set_up_jax(config)
    from rich.console import Group

    from seqmodels.evaluation.compare import compare_runs, comparison_tables
    from seqmodels.evaluation.evaluate import write_result
    from seqmodels.runs.run import load_run, open_data

    first = dataclasses.replace(load_run(arguments.workdir, step), config=config)
    found = load_run(second)
    other = dataclasses.replace(found.config, evaluation=config.evaluation)
    found = dataclasses.replace(found, config=other)
    others = arguments.overrides_data
    own = open_data(first.workdir, first.config, first.task, others=others)
    data = own, open_data(second, found.config, found.task)
    names = first.task.metric_names
    metric = config.training.best_metric if config.training.best_metric in names else names[0]
    result = compare_runs(first, found, data, split, config.task.metric(metric))
    labels = (f"{arguments.workdir}, step {first.step}", f"{second}, step {found.step}")
    program.answer(arguments, result, Group(*comparison_tables(result, labels)))
    name = f"{split}-against-{second.name}-{found.step}"
    facts = {"step": first.step, "split": name, "compare": str(second), "other_step": found.step}
    path = write_result(arguments.workdir, {**facts, **result}, dict(arguments.overrides))
    if not asked.json:
        program.say(f"written to {path}")
    return program.DONE


def draw_by_length(workdir: Path, result: dict[str, Any]) -> Path | None:
    """Plots what a result says by the length of the inputs, with other splits of the same step.

    Returns:
      The path of the picture; None where there is nothing to plot.
    """
    from seqmodels.runs.figures import make_length_figure, save_figure
    from seqmodels.tasks.lengths import BY_LENGTH, metric_of

    if not result.get(BY_LENGTH):
        return None
    curves = {result["split"]: result[BY_LENGTH]}
    for path in sorted((workdir / "evaluations").glob(f"*-{result['step']}.json")):
        other = json.loads(path.read_text(encoding="utf-8"))
        if rows := other.get(BY_LENGTH):
            curves.setdefault(other["split"], rows)
    if sum(map(len, curves.values())) < 2:
        return None
    metric = metric_of(result[BY_LENGTH])
    figure = make_length_figure(curves, metric, metric, "steps")
    return save_figure(figure, workdir / "figures" / f"{metric}_by_length.png")


def only_file(arguments: Arguments) -> ExperimentConfig:
    """The config of a run with --input as all of its data."""
    asked = arguments.flags
    if not asked.input:
        raise UserError("--input= names no file")
    if asked["split"].present:
        raise UserError(f"--split={asked.split}: has no effect with --input")
    for name, text in arguments.overrides:
        if name.removeprefix("data.") in _PLACES:
            raise UserError(f"--config.{name}={text}: has no effect with --input")
    data = arguments.experiment.data.of_file(asked.input)
    try:  # before jax is imported
        registry.resolve(registry.DATASETS[data.dataset].implementation).open(data)
    except UserError as error:
        raise UserError(str(error).replace("data.test_path", "--input")) from None
    return dataclasses.replace(arguments.experiment, data=data)


def name_input(given: str, fingerprint: str) -> str:
    """The name of a result: of the file and its content, because files may change."""
    stem = re.sub(r"[^\w.-]+", "_", Path(given).stem).strip("_")
    return f"input-{stem}-{fingerprint[:8]}"


def choose(arguments: Arguments, step: str | int) -> int:
    """Answers multiple-choice questions with a language model."""
    asked, workdir, config = arguments.flags, arguments.workdir, arguments.experiment
    if not config.task.continues_text:
        raise UserError(
            f"--choices={asked.choices}: needs task.kind=language_model; this run's is "
            f"{config.task.kind}"
        )
    for name in ("split", "input", "distributed", "compare"):
        if asked[name].present:
            raise UserError(f"--{name}={asked[name].value}: has no effect with --choices")
    for name, text in arguments.overrides:
        if name != CHOICES_FIELD:
            raise UserError(
                f"--config.{name}={text}: has no effect with --choices; {CHOICES_FIELD} may be set"
            )
    from seqmodels.data.choices import read_questions
    from seqmodels.files import find_file

    path = find_file("--choices", asked.choices)
    questions = read_questions(path, asked.num_shots)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    program.set_up_jax(config)
    from seqmodels.evaluation.choices import evaluate_choices
    from seqmodels.evaluation.evaluate import write_result
    from seqmodels.runs.run import load_run

    with spread.over_mesh(arguments) as mesh:
        run = load_run(workdir, step, mesh)
        found = evaluate_choices(run, questions, config.evaluation.batch_size)
    shots = f"-{asked.num_shots}shots" if asked.num_shots else ""
    # Includes a digest, because files may have the same name or change.
    name = f"choices-{path.stem}-{digest[:8]}{shots}"
    result = {"step": run.step, "split": name, "choices": str(path), "sha256": digest}
    result |= {"num_shots": asked.num_shots, **found}
    program.answer(arguments, result, choices_table(result))
    written = write_result(workdir, result)
    if not asked.json:
        program.say(f"written to {written}")
    return program.DONE


def choices_table(result: dict[str, Any]) -> Any:
    """Accuracies of the run, of the run without prompts, and of chance."""
    from rich.table import Table

    names = ("accuracy", "accuracy_per_token")
    title = f"{result['num_questions']:,} questions, step {result['step']}"
    if result["num_cut_prompts"]:
        title += f"; {result['num_cut_prompts']:,} prompts without their beginning"
    table = Table("", "accuracy", "accuracy by log p per token", title=title)
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
