"""`launch.py reproduce`: trains for a goal, measures it, and reports met or missed."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from experiments import goals, program
from experiments.arguments import Arguments, Command, ConfigSource, override
from experiments.train import start
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import TokenizerKind
from seqmodels.config.files import load_config
from seqmodels.config.validate import validate
from seqmodels.evaluation.goals import Goal, Measure, read_results, render_page, scores_by_length
from seqmodels.files import replacing, save_figure, split_lines
from seqmodels.runs.figures import make_length_figure
from seqmodels.runs.opening import read_config

DOC = """Trains a config, measures its metric, and reports whether the goal is met.

Use `reproduce NAME`, or `reproduce --list` for the names. An existing run is resumed, or measured
again if it is done. --config.FIELD=VALUE changes the config, and the result records this. --record
writes the result to experiments/results/NAME.json and regenerates docs/results.md from all results;
--page does only the latter.
"""
ROOT = Path(__file__).parents[1]
ORIGIN = "reproduce.json"
RESULTS, PAGE = ROOT / "experiments" / "results", ROOT / "docs" / "results.md"
NOTES = "notes.md"  # of RESULTS: what was measured by hand
PICTURE = "bleu_by_length.png"  # beside the page
_TUNES = {"num_samples": 50, "max_tokens": 1000, "temperature": 0.5, "seed": 1}
"""As stated on the page of results. Not seed 0, with which the temperature was chosen."""
_PLACES = ("data.tfds_data_dir", "data.cache_dir")
"""Folders of this machine, which do not choose the data: not recorded as changes."""


def define(values: flags.FlagValues) -> None:
    string, switch = flags.DEFINE_string, flags.DEFINE_bool
    string("name", None, "name of the goal; --name= may be left out", flag_values=values)
    switch("list", False, "list the goals and their recorded results", flag_values=values)
    program.define_json(values)
    program.define_workdir(values, "folder for the runs; none = runs/reproduce/CONFIG")
    flags.DEFINE_integer(
        "num_seeds", 1, "number of seeds: 0, 1, ..", lower_bound=1, flag_values=values
    )
    switch("record", False, "record the result in the project", flag_values=values)
    switch("page", False, "regenerate docs/results.md", flag_values=values)


def run(arguments: Arguments) -> int:
    asked = arguments.flags
    if asked.list:
        return show_list(arguments)
    if asked.page:
        write_page()
        return program.DONE
    goal = goals.find_goal(asked.name)
    config = override(load_config(goal.config), arguments.overrides)
    validate(config)
    if asked.num_seeds > 1 and any(name == "training.seed" for name, _ in arguments.overrides):
        raise UserError("--config.training.seed: has no effect with --num_seeds")
    if goal.num_folds > 1 and any(name == "data.fold" for name, _ in arguments.overrides):
        raise UserError(f"--config.data.fold: {goal.name} takes all {goal.num_folds} folds")
    folder = Path(asked.workdir or f"runs/reproduce/{goal.config.replace(':', '_')}").expanduser()
    found: list[Figure] = []
    for one, name in variations(goal, config, asked.num_seeds):
        runs = []
        if goal.after:
            earlier = folder.parent / goal.after / name
            one = begin_after(goal, one, earlier, [name for name, _ in arguments.overrides])
            runs.append((read_config(earlier), earlier))  # resumed if it was stopped
        for made, workdir in [*runs, (one, folder / name)]:
            status = train(made, workdir)
            if status:
                return status
        found.append(measure(goal, one, folder / name))
    values, seconds = [figure.value for figure in found], sum(figure.seconds for figure in found)
    baselines = [figure.baseline for figure in found if figure.baseline is not None]
    baseline = statistics.fmean(baselines) if goal.num_folds > 1 else found[0].baseline
    summary = goal.summarize(values, baseline, seconds)
    program.answer(arguments, summary, tell(summary))
    if asked.record:
        runs = [figure.details for figure in found]
        overrides = {name: x for name, x in arguments.overrides if name not in _PLACES}
        record(goal, {**summary, "values": values, "overrides": overrides, "runs": runs})
    return program.DONE


def variations(
    goal: Goal, config: ExperimentConfig, num_seeds: int
) -> Iterator[tuple[ExperimentConfig, str]]:
    """Yields the config of each run, one per seed and fold, and the name of its folder."""
    for number in range(num_seeds):
        seed = number if num_seeds > 1 else config.training.seed
        training = dataclasses.replace(config.training, seed=seed)
        one = dataclasses.replace(config, training=training)
        if goal.num_folds == 1:
            yield one, f"seed{seed}"
            continue
        for fold in range(goal.num_folds):
            data = dataclasses.replace(config.data, fold=fold)
            yield dataclasses.replace(one, data=data), f"seed{seed}_fold{fold}"


def begin_after(
    goal: Goal, config: ExperimentConfig, earlier: Path, overridden: Sequence[str] = ()
) -> ExperimentConfig:
    """Returns the config with an earlier run's tokenizer, and its parameters if it uses any.

    Raises:
      UserError: the run does not exist, or one of the `overridden` fields names another.
    """
    read = [
        f"data.{section}.tokenizer_path".replace("..", ".")
        for section, settings in config.data.tokenizers().items()
        if settings.tokenizer is TokenizerKind.RUN
    ]
    for name in (*read, "training.init_from"):
        if name in overridden:
            raise UserError(f"--config.{name}: {goal.name} uses that of the run of {goal.after}")
    if not earlier.exists():
        raise UserError(
            f"{earlier}: does not exist, but {goal.name} starts from it: "
            f"reproduce {goal.after} first"
        )
    if config.training.init_from:
        read.append("training.init_from")
    return override(config, [(name, str(earlier)) for name in read])


def train(config: ExperimentConfig, workdir: Path) -> int:
    """Trains or resumes one run; returns the exit status.

    Records in the run's directory where it was trained, and how long that took.
    """
    from seqmodels.runs.workdir import find_start, refuse_other_run

    started = time.monotonic()
    find_start(config, workdir)
    refuse_other_run(workdir, config)
    program.set_up_jax(config)
    from seqmodels.runs.rows import METRICS
    from seqmodels.runs.workdir import write_json

    metrics = workdir / METRICS
    before = metrics.read_bytes() if metrics.exists() else b""
    status = start(config, workdir)
    if metrics.read_bytes() != before:
        seconds = read_origin(workdir).get("seconds", 0.0) + time.monotonic() - started
        # The time of a killed process is known only from the rows, which exclude evaluations.
        seconds = max(seconds, counted_seconds(workdir))
        write_json(workdir / ORIGIN, {**describe_here(), "seconds": seconds})
    return status


def counted_seconds(workdir: Path) -> float:
    """Seconds of training, from the rows of a run."""
    from seqmodels.runs.rows import METRICS, read_rows

    return max((row.get("seconds", 0.0) for row in read_rows(workdir / METRICS)), default=0.0)


def read_origin(workdir: Path) -> dict[str, Any]:
    """The record of `train`: `describe_here` and the seconds; empty for other runs."""
    try:
        return json.loads((workdir / ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


@dataclasses.dataclass(frozen=True)
class Figure:
    """Measured result of one run.

    Attributes:
      value: value of the goal's metric.
      baseline: value of the baseline, if there is one.
      seconds: time of training, including evaluations and preparation, and of measuring.
      details: all other measured values, and where the run was trained.
    """

    value: float
    baseline: float | None
    seconds: float
    details: dict[str, Any]


def measure(goal: Goal, config: ExperimentConfig, workdir: Path) -> Figure:
    """Measures a finished run."""
    from seqmodels.runs.rows import METRICS, read_rows
    from seqmodels.runs.run import load_run, open_data

    started = time.monotonic()
    origin = {"measured": describe_here(), **read_origin(workdir)}
    trained = origin.pop("seconds", None) or counted_seconds(workdir)
    details: dict[str, Any] = {"seed": config.training.seed, **origin}
    if goal.measure is Measure.TRAINING:
        rows = [row for row in read_rows(workdir / METRICS) if row["split"] == "train"]
        return Figure(rows[-1][goal.metric], None, trained, details)
    opened = load_run(workdir)
    data = open_data(workdir, config, opened.task)
    if goal.measure is Measure.TUNES:
        from seqmodels.evaluation.tunes import judge_run

        found, base, _ = judge_run(opened, data, **_TUNES)
        baseline, details = base[goal.metric], {**details, **found, "baseline": base}
    else:
        from seqmodels.evaluation.baselines import best_baseline
        from seqmodels.evaluation.evaluate import evaluate_run, write_result

        found = evaluate_run(opened, data, goal.split)
        write_result(workdir, found)
        best = best_baseline(found, goal.metric, lower_is_better=goal.lower_is_better)
        baseline, details = None if best is None else best[1], {**details, **found}
    return Figure(found[goal.metric], baseline, trained + time.monotonic() - started, details)


def tell(summary: dict[str, Any]) -> str:
    """Summary in one line."""
    goal, baseline, published = (summary[name] for name in ("goal", "baseline", "published"))
    met = {True: "met", False: "missed", None: "no goal"}[summary["met"]]
    beside = [f"baseline {baseline:.4g}"] if baseline is not None else []
    beside += [f"published {published:g}"] if published is not None else []
    p_value = summary.get("p_value")
    beside += [f"p {p_value:.2g} against the goal"] if p_value is not None else []
    beside += [f"{summary['seconds']:,.0f} s"]
    wanted = "" if goal is None else f", goal {goal:g}"
    name = f"{summary['name']}: {summary['metric']} {summary['value']:.4g}"
    return f"{name}{wanted}: {met} ({', '.join(beside)})"


def describe_here() -> dict[str, Any]:
    """Time, hardware, versions and commit of this process."""
    import jax

    devices = {f"{d.platform} {d.device_kind}".replace("cpu cpu", "cpu") for d in jax.devices()}
    return {
        "date": datetime.date.today().isoformat(),
        "hardware": f"{len(jax.devices())} x {', '.join(sorted(devices))}, "
        f"{usable_cores()} cores of {processor()}",
        "versions": f"jax {jax.__version__}, Python {platform.python_version()}",
        "commit": commit(),
    }


def usable_cores() -> str:
    """Number of cores that this process may use, and of all cores if that differs."""
    total = os.cpu_count() or 1
    # Before Python 3.13 only Linux reports it.
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else total
    return str(usable) if usable == total else f"{usable} of {total}"


def processor() -> str:
    """The name of the processor."""
    try:
        lines = split_lines(Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def commit() -> str | None:
    """The commit of the code, marked if files differ from it; None without git."""

    def ask(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.strip()

    try:
        outside = (":!experiments/results", ":!docs/results.md")
        changed = ask("status", "--porcelain", "--untracked-files=no", "--", ".", *outside)
        return ask("rev-parse", "--short=10", "HEAD") + (" and changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def record(goal: Goal, result: dict[str, Any]) -> None:
    """Writes a result and regenerates the page.

    Raises:
      UserError: they cannot be written.
    """
    from seqmodels.runs.workdir import write_json

    path = RESULTS / f"{goal.name}.json"
    try:
        RESULTS.mkdir(exist_ok=True)
        write_json(path, result)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    program.say(f"written to {path}")
    write_page()


def write_page() -> None:
    """Generates the page from the recorded results and the notes.

    Raises:
      UserError: it cannot be written.
    """
    known, results = list(goals.GOALS.values()), read_results(RESULTS)
    page = render_page(known, results, PICTURE, read_notes())
    try:
        with replacing(PAGE) as partial:
            partial.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{PAGE}: cannot be written: {error.strerror}") from None
    program.say(f"written to {PAGE}")
    curves = scores_by_length(known, results, "bleu")
    if curves:
        figure = make_length_figure(curves, "bleu", "BLEU")
        program.say(f"written to {save_figure(figure, PAGE.with_name(PICTURE))}")


def read_notes() -> str:
    """The notes that go with the recorded results; "" without any."""
    path = RESULTS / NOTES
    return path.read_text(encoding="utf-8") if path.exists() else ""


def show_list(arguments: Arguments) -> int:
    """Lists the goals."""
    results, values, table = read_results(RESULTS), [], []
    for goal in goals.GOALS.values():
        found = results.get(goal.name, {})
        keys = ("value", "met", "baseline", "seconds")
        told = {name: getattr(goal, name) for name in ("name", "metric", "published", "goal")}
        values.append({**told, **{key: found.get(key) for key in keys}, "config": goal.config})
        recorded = "not run" if not found else f"{found['value']:.4g}"
        bound = "<=" if goal.lower_is_better else ">="
        wanted = "none" if goal.goal is None else f"{bound} {goal.goal:g}"
        row = (goal.name, goal.metric, f"goal {wanted}", f"recorded {recorded}", goal.config)
        table.append(row)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in table
    ]
    program.answer(arguments, values, "\n".join(line.rstrip() for line in lines))
    return program.DONE


COMMAND = Command("reproduce", DOC, run, define, ConfigSource.OWN, positionals=("name",))

if __name__ == "__main__":
    program.end(program.main(COMMAND))
