"""`launch.py diagnose`: which models can do which diagnostics."""

from __future__ import annotations

import json
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from experiments import diagnostics, program
from experiments.arguments import Arguments, Command
from experiments.diagnostics import MODELS, NUM_DEFAULT, TASKS
from experiments.side_by_side import run_side_by_side
from seqmodels.config.errors import UserError, suggest
from seqmodels.config.validate import validate

DOC = """Trains models on diagnostic problems, and reports which model can solve which.

All models of a problem have about --num_params parameters. A cell trains one run for each learning
rate and seed, all as one program, and keeps the best by validation. It is tested on the lengths of
training and on longer ones; next to it is what the literature predicts. A finished cell is not
repeated, so the same command resumes; --models and --tasks select cells. On a CPU, --parallel=N
trains N problems at a time, each in a process with its share of the cores. Writes diagnose.json,
diagnose.md and diagnose.png into --workdir.
"""
RESULT = "cell.json"
_PANELS = {"test": "lengths of training", "longer": "longer"}


def define(values: flags.FlagValues) -> None:
    program.define_workdir(values, "folder for the cells; none = runs/diagnose")
    program.define_json(values)
    string, integer = flags.DEFINE_string, flags.DEFINE_integer
    string("models", None, f"some of {', '.join(MODELS)}; none = all", flag_values=values)
    string(
        "tasks",
        None,
        f"some of {', '.join(TASKS)}; none = the first {NUM_DEFAULT}",
        flag_values=values,
    )
    string("rates", "0.003,0.001", "peak learning rates, separated by commas", flag_values=values)
    integer("num_seeds", 1, "number of seeds per rate: 0, 1, ..", 1, flag_values=values)
    integer("num_steps", 1500, "steps of each run", 4, flag_values=values)
    integer("num_params", 20_000, "parameters per model, roughly", 100, flag_values=values)
    integer("parallel", 1, "problems that train at the same time, on a CPU", 1, flag_values=values)
    flags.DEFINE_boolean("summary", True, "write the table and the picture", flag_values=values)


def run(arguments: Arguments) -> int:
    asked = arguments.flags
    models = choose("models", asked.models, MODELS, len(MODELS))
    tasks = choose("tasks", asked.tasks, TASKS, NUM_DEFAULT)
    settings = {
        "num_steps": asked.num_steps,
        "num_params": asked.num_params,
        "rates": parse_rates(asked.rates),
        "num_seeds": asked.num_seeds,
    }
    folder = Path(asked.workdir or "runs/diagnose").expanduser()
    first = diagnostics.make_cell(tasks[0], MODELS[models[0]](8, 8), asked.num_steps, 1e-3, 0)
    left = {task: cells_left(folder, task, models, settings) for task in tasks}
    left = {task: cells for task, cells in left.items() if cells}
    if asked.parallel > 1 and len(left) > 1:
        values = {"workdir": folder, "models": ",".join(models), "rates": asked.rates}
        values |= {n: settings[n] for n in ("num_seeds", "num_steps", "num_params")}
        words = [*(f"--{name}={value}" for name, value in values.items()), "--nosummary"]
        command = [sys.executable, "-m", "experiments.diagnose", *words]
        commands = {folder / task: [*command, f"--tasks={task}"] for task in left}
        if status := run_side_by_side(commands, asked.parallel):
            return status
        left = {}
    program.set_up_jax(first)
    for task, cells in left.items():
        if status := train_task(task, cells, settings):
            return status
    if not asked.summary:
        return program.DONE
    found = {task: {m: read(folder / task / m, settings) for m in models} for task in tasks}
    summary = {"settings": settings, "cells": found}
    write(folder, summary)
    program.answer(arguments, summary, tables(found))
    if not asked.json:
        program.say(f"written to {folder / 'diagnose.json'}, diagnose.md and diagnose.png")
    return program.DONE


def choose(flag: str, text: str | None, known: Mapping[str, Any], count: int) -> list[str]:
    """The names of a flag; the first `count` that are known where it is not given.

    Raises:
      UserError: a name that is not known, or none.
    """
    if text is None:
        return list(known)[:count]
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise UserError(f"--{flag}={text}: {name!r} is not known{suggest(name, known)}")
    if not names:
        raise UserError(f"--{flag}={text}: names none of {', '.join(known)}")
    return list(dict.fromkeys(names))


def parse_rates(text: str) -> list[float]:
    """The numbers of --rates; UserError where one is not above 0."""
    try:
        rates = [float(part) for part in text.split(",")]
    except ValueError:
        rates = []
    if not rates or not all(0 < rate < 1 for rate in rates):
        raise UserError(f"--rates={text}: must be numbers between 0 and 1, as in 0.003,0.001")
    return rates


def cells_left(
    folder: Path, task: str, models: Sequence[str], settings: dict[str, Any]
) -> dict[str, Path]:
    """The folders of the cells of a problem that are not finished."""
    cells = {model: folder / task / model for model in models}
    return {model: place for model, place in cells.items() if read(place, settings) is None}


def read(place: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """A finished cell; None where there is none.

    Raises:
      UserError: it has other settings, or cannot be read.
    """
    path = place / RESULT
    if not path.exists():
        return None
    try:
        cell = json.loads(path.read_text(encoding="utf-8"))
        other = {name: x for name, x in settings.items() if cell["settings"][name] != x}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read: {error!r}; delete it to repeat it") from None
    if other:
        name = next(iter(other))
        raise UserError(
            f"{path}: was made with {name}={cell['settings'][name]}, not {other[name]}: choose "
            "another --workdir"
        )
    return cell


def train_task(task: str, cells: Mapping[str, Path], settings: dict[str, Any]) -> int:
    """Trains and tests the cells of a problem, whose data are read once; returns the status."""
    from seqmodels.data.pipeline import load_data
    from seqmodels.tasks.build import build_task

    first = diagnostics.make_cell(task, MODELS["rnn"](8, 8), settings["num_steps"], 1e-3, 0)
    problem = build_task(first)
    data = load_data(first, problem)
    for model, place in cells.items():
        program.say(f"{task}, {model}")
        if status := train_cell(task, model, place, settings, problem, data):
            return status
    return 0


def train_cell(
    task: str, model: str, place: Path, settings: dict[str, Any], problem: Any, data: Any
) -> int:
    """Trains the runs of a cell as one program and writes its result; returns the exit status."""
    from seqmodels.runs.workdir import write_json
    from seqmodels.training.pack import train_pack

    started = time.monotonic()
    width, size = fit_width(model, diagnostics.longest_of(task), data.spec, settings["num_params"])
    config = MODELS[model](width, diagnostics.longest_of(task))
    runs = []
    for rate in settings["rates"]:
        for seed in range(settings["num_seeds"]):
            made = diagnostics.make_cell(task, config, settings["num_steps"], rate, seed)
            validate(made)
            runs.append((made, place / f"lr{rate:g}_seed{seed}"))
    outcomes = train_pack(runs, problem, data)
    if status := next((o.exit_status for o in outcomes if o.exit_status), 0):
        return status
    kept = [run for run, one in zip(runs, outcomes, strict=True) if one.problem is None]
    tested = test(kept, problem, data)
    facts = {"task": task, "model": model, "width": width, "num_params": size}
    diverged = [f"{o.workdir.name}: {o.problem}" for o in outcomes if o.problem is not None]
    seconds = round(time.monotonic() - started, 1)
    beside = {"chance": data.dataset.chance(), "diverged": diverged, "seconds": seconds}
    write_json(place / RESULT, {**facts, "settings": settings, **tested, **beside})
    return 0


def fit_width(model: str, length: int, spec: Any, wanted: int) -> tuple[int, int]:
    """The width whose number of parameters is nearest to what is wanted, and that number."""
    import jax

    from seqmodels.models.build import build_model
    from seqmodels.runs.run import abstract_params

    def count(width: int) -> int:
        params = abstract_params(build_model(MODELS[model](width, length), spec))
        return sum(x.size for x in jax.tree.leaves(params))

    low, high = 1, diagnostics.MAX_WIDTH // diagnostics.STEP
    while low < high:  # the first width with as many parameters, or more
        middle = (low + high) // 2
        low, high = (
            (low, middle) if count(middle * diagnostics.STEP) >= wanted else (middle + 1, high)
        )
    sizes = {n * diagnostics.STEP: count(n * diagnostics.STEP) for n in {max(low - 1, 1), low}}
    width = min(sizes, key=lambda width: abs(sizes[width] - wanted))
    return width, sizes[width]


def test(runs: Sequence[tuple[Any, Path]], problem: Any, data: Any) -> dict[str, Any]:
    """Tests the run with the best validation metric: results by split; empty without a run."""
    from seqmodels.evaluation.evaluate import Evaluator
    from seqmodels.runs.rows import METRICS, costs_of, read_rows
    from seqmodels.runs.run import load_run

    if not runs:
        return {"best": None, "test": None, "longer": None}
    metric = runs[0][0].task.metric(runs[0][0].training.best_metric)
    cost = {place: min(costs_of(read_rows(place / METRICS), metric)) for _, place in runs}
    best = min(cost, key=cost.__getitem__)
    loaded = load_run(best)
    evaluate = Evaluator(loaded.model, data, loaded.config.evaluation, problem, 0)
    results = {split: evaluate(loaded.params, split) for split in ("test", "longer")}
    return {"best": best.name, **results}


def judge(task: str, cell: dict[str, Any]) -> dict[str, Any]:
    """The verdict on a cell: scores, whether it is solved, the expectation and whether it holds."""
    problem = TASKS[task]
    expected = problem.expectation(cell["model"])
    where = "longer" if problem.beyond else "test"
    results = {split: cell[split] for split in _PANELS}
    scores = {s: diagnostics.score(r, cell["chance"]) if r else 0.0 for s, r in results.items()}
    solved = {s: bool(r) and diagnostics.solves(r) for s, r in results.items()}
    holds = None if not expected else solved[where] == (expected == "yes")
    return {"scores": scores, "solved": solved, "expected": expected, "where": where, "as": holds}


def cell_text(task: str, cell: dict[str, Any], split: str) -> str:
    """A metric, yes or no, and the expectation, if it is about this split."""
    found, result = judge(task, cell), cell[split]
    if not result:
        return "diverged"
    metric = diagnostics.metric_of(result)
    text = f"{result[metric]:.3f} {'yes' if found['solved'][split] else 'no'}"
    expected = found["expected"] if found["where"] == split else ""
    return f"{text} ({expected})" if expected else text


def heading(task: str, cells: Mapping[str, dict[str, Any]]) -> str:
    """The data of a problem, its metric, and what the baseline without training has."""
    chance = next(iter(cells.values()))["chance"]
    metric = diagnostics.metric_of(chance)
    return f"{TASKS[task].data}: {metric}, {chance['model']} {chance[metric]:.3f}"


def tables(found: dict[str, dict[str, Any]]) -> Any:
    """The cells for a person, to be printed by rich: a table for each problem."""
    from rich.console import Group
    from rich.table import Table

    shown = []
    for task, cells in found.items():
        table = Table("", *_PANELS.values(), "parameters", "seconds", title=heading(task, cells))
        for model, cell in cells.items():
            texts = [cell_text(task, cell, split) for split in _PANELS]
            table.add_row(model, *texts, f"{cell['num_params']:,}", f"{cell['seconds']:.0f}")
        shown.append(table)
    return Group(*shown, "yes: solved; (yes), (no): what the literature expects")


def write(folder: Path, summary: dict[str, Any]) -> None:
    """Writes the results as JSON, as a page and as a picture."""
    from seqmodels.files import replacing
    from seqmodels.runs.figures import make_heat_map, save_figure
    from seqmodels.runs.workdir import write_json

    found = summary["cells"]
    judged = {t: {m: judge(t, cell) for m, cell in cells.items()} for t, cells in found.items()}
    write_json(folder / "diagnose.json", {**summary, "judged": judged})
    with replacing(folder / "diagnose.md") as partial:
        partial.write_text(page(summary), encoding="utf-8")
    models = list(next(iter(found.values())))
    panels = {
        title: {m: {t: judged[t][m]["scores"][split] for t in found} for m in models}
        for split, title in _PANELS.items()
    }
    marks = {
        title: {
            m: {t: judged[t][m]["expected"] for t in found if judged[t][m]["where"] == split}
            for m in models
        }
        for split, title in _PANELS.items()
    }
    figure = make_heat_map(panels, "0: chance, 1: perfect", marks)
    figure.suptitle("below a score: whether the literature expects success", fontsize=9)
    save_figure(figure, folder / "diagnose.png")


def _expectations(found: dict[str, dict[str, Any]]) -> str:
    """Counts the expectations that hold and names the others."""
    verdicts = {
        f"{TASKS[task].data} by `{model}` ({verdict['expected']})": verdict["as"]
        for task, cells in found.items()
        for model, cell in cells.items()
        if (verdict := judge(task, cell))["as"] is not None
    }
    wrong = [name for name, holds in verdicts.items() if not holds]
    count = f"Of {len(verdicts)} expectations {len(verdicts) - len(wrong)} hold"
    return f"{count}; these do not: {', '.join(wrong)}." if wrong else f"{count}."


def page(summary: dict[str, Any]) -> str:
    """The results in Markdown."""
    settings, found = summary["settings"], summary["cells"]
    rates = " and ".join(f"{rate:g}" for rate in settings["rates"])
    seeds = settings["num_seeds"]
    lead = (
        f"About {settings['num_params']:,} parameters, {settings['num_steps']:,} steps of 64, the "
        f"best of the learning rates {rates} and {seeds} seed{'s' * (seeds > 1)} each by "
        "validation. In brackets: what the literature expects."
    )
    texts = [textwrap.fill(text, 100) for text in (lead, _expectations(found))]
    lines = ["# Which model can do what\n", *(f"{text}\n" for text in texts)]
    lines.append("![heat map](diagnose.png)\n")
    for task, cells in found.items():
        lines += [f"## {heading(task, cells)}\n"]
        lines += [f"| model | {' | '.join(_PANELS.values())} | size |"]
        lines.append("|---|---|---|---|")
        for model, cell in cells.items():
            texts = " | ".join(cell_text(task, cell, split) for split in _PANELS)
            lines.append(f"| `{model}` | {texts} | {cell['num_params']:,} |")
        lines.append("")
    return "\n".join(lines)


COMMAND = Command("diagnose", DOC, run, define)

if __name__ == "__main__":
    program.end(program.main(COMMAND))
