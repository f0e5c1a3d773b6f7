"""Evaluates runs on tasks of the Language Model Evaluation Harness, in place.

    python -m seqmodels.interop.harness --workdir=DIR --tasks=seqmodels_wikitext2,seqmodels_sst2

needs `pip install lm-eval`. The tasks whose names begin with `seqmodels_` need no network; others
are those of the harness. See docs/evaluation.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from seqmodels.config.errors import UserError, an, suggest
from seqmodels.config.strict_json import to_text
from seqmodels.files import replacing
from seqmodels.runs.opening import parse_step, read_config

if TYPE_CHECKING:
    from seqmodels.interop.harness_model import HarnessModel, SequenceLM

TASKS = Path(__file__).parent / "harness_tasks"
"""The tasks that come with this package, a YAML file each."""
_PREFIX = "seqmodels_"

Row = dict[str, Any]
"""A line of the table: task, model, how long texts are read, num_rows, and metrics by name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status, 2 for a mistake of the user."""
    try:
        asked = parse(sys.argv[1:] if argv is None else argv)
        rows = evaluate(asked)
    except UserError as error:
        print(f"harness: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    text = to_text({"results": rows}, indent=1, ensure_ascii=False)
    if asked.output is not None:
        with replacing(asked.output) as partial:
            partial.write_text(text + "\n", encoding="utf-8")
    if asked.json:
        print(text)
    else:
        show(rows)
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(message)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parses and checks the flags; imports neither jax nor the harness.

    Raises:
      UserError: names the flag that is wrong.
    """
    parser = _Parser("python -m seqmodels.interop.harness", allow_abbrev=False)
    add = parser.add_argument
    add("--workdir", action="append", help="work directory of a run; may be repeated")
    add("--tasks", help="names, separated by commas")
    add("--step", default="best", help="checkpoint: best, latest or the number of its step")
    add("--batch_size", type=_at_least(1), default=16, help="rows at once; moves no result")
    add("--num_fewshot", type=_at_least(0), help="examples before each question")
    add("--limit", type=_at_least(1), help="only the first rows of each task")
    add("--max_length", type=_at_least(2), help="tokens of a window; none = the model's, or 2048")
    add("--include_path", type=Path, help="folder with further tasks as YAML")
    add("--no_baseline", action="store_true", help="leave out the Kneser-Ney n-gram")
    add("--output", type=Path, help="JSON file for the results")
    add("--json", action="store_true", help="print the results as JSON on stdout")
    asked = parser.parse_args(list(argv))
    if not asked.workdir:
        raise UserError("--workdir=DIR is required")
    asked.configs = [_read_run(Path(name)) for name in asked.workdir]
    asked.tasks = _read_tasks(asked.tasks)
    asked.step = parse_step(asked.step)
    if asked.include_path is not None and not asked.include_path.is_dir():
        raise UserError(f"--include_path={asked.include_path}: no such directory")
    if asked.output is not None and not asked.output.parent.is_dir():
        raise UserError(f"--output={asked.output}: {asked.output.parent} is not a directory")
    if importlib.util.find_spec("lm_eval") is None:
        raise UserError("needs the evaluation harness, which is not installed: pip install lm-eval")
    return asked


def _at_least(least: int) -> Any:
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text}: must be an integer, {least} or above")
        return int(text)

    return parse


def _read_run(workdir: Path) -> Any:
    config = read_config(workdir)
    if not config.task.continues_text:
        raise UserError(
            f"--workdir={workdir}: {an(config.model.kind)} with task.kind={config.task.kind} "
            "cannot score text; the harness needs task.kind=language_model"
        )
    return config


def own_tasks() -> list[str]:
    """Names of the tasks that come with this package."""
    return sorted(_PREFIX + path.stem for path in TASKS.glob("*.yaml"))


def _read_tasks(given: str | None) -> list[str]:
    names = [name for name in (given or "").split(",") if name]
    if not names:
        raise UserError(f"--tasks=NAME,.. is required; offline are {', '.join(own_tasks())}")
    for name in names:
        if name.startswith(_PREFIX) and name not in own_tasks():
            near = suggest(name, own_tasks())
            raise UserError(f"--tasks={name}: must be one of {', '.join(own_tasks())}{near}")
    return names


def evaluate(asked: argparse.Namespace) -> list[Row]:
    """Evaluates every run, and the Kneser-Ney n-gram of the first, on all tasks.

    Raises:
      UserError: a run, a task or its files cannot be used.
    """
    # Of the harness's own tasks only those that are on this machine are loaded without a network.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for name in ("lm_eval", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from seqmodels.interop.harness_model import HarnessModel

    manager = _find_tasks(asked)
    rows: list[Row] = []
    for number, workdir in enumerate(asked.workdir):
        settings = {"batch_size": asked.batch_size, "max_length": asked.max_length}
        lm = HarnessModel(workdir, asked.step, **settings)
        rows += _evaluate_one(lm, manager, asked)
        if number == 0 and not asked.no_baseline:
            baseline = make_baseline(lm, asked)
            rows += [] if baseline is None else _evaluate_one(baseline, manager, asked)
    order = {name: number for number, name in enumerate(dict.fromkeys(r["task"] for r in rows))}
    return sorted(rows, key=lambda row: order[row["task"]])


def _find_tasks(asked: argparse.Namespace) -> Any:
    """The tasks of this package and of --include_path; the harness's own if one is asked for."""
    from lm_eval.tasks import TaskManager  # pyright: ignore[reportMissingImports]

    folders: Any = [str(folder) for folder in (TASKS, asked.include_path) if folder is not None]
    for others in (False, True):  # there are thousands of them
        manager = TaskManager(include_path=folders, include_defaults=others)
        missing = [name for name in asked.tasks if name not in manager.all_tasks]
        if not missing:
            return manager
    near = suggest(missing[0], sorted(manager.all_tasks))
    raise UserError(f"--tasks={missing[0]}: the harness has no such task{near}")


def make_baseline(lm: HarnessModel, asked: argparse.Namespace) -> SequenceLM | None:
    """The Kneser-Ney n-gram that is counted on a run's training split, with its tokenizer.

    None where the run is an n-gram itself, was imported and not trained since, or its data are not
    here; the last two are reported.
    """
    from seqmodels.interop.harness_model import SequenceLM
    from seqmodels.runs.generate import writing_tokenizer
    from seqmodels.runs.run import open_data

    run, config = lm.run, lm.run.config
    if config.model.fitted:
        return None
    try:
        if not (run.workdir / "data.json").is_file():
            raise UserError(f"{run.workdir} was not trained here, so that it has no data to count")
        rival = run.task.rival(open_data(run.workdir, config, run.task), config)
    except UserError as error:
        print(f"no Kneser-Ney n-gram: {' '.join(str(error).split())}", file=sys.stderr)
        return None
    if rival is None:
        return None
    return SequenceLM(
        *rival,
        writing_tokenizer(run),
        name=f"Kneser-Ney of order {config.evaluation.baseline_order}",
        batch_size=asked.batch_size,
        max_length=asked.max_length,
    )


def _evaluate_one(lm: SequenceLM, manager: Any, asked: argparse.Namespace) -> list[Row]:
    """Rows of one model: long texts by windows, and again through its state where it has one."""
    from seqmodels.interop.harness_model import CARRY, WINDOWS

    lm.rolling = WINDOWS
    rows, long = _ask(lm, asked.tasks, manager, asked)
    if long and lm.limit is None:
        lm.rolling = CARRY
        rows += _ask(lm, long, manager, asked)[0]
    return rows


def _ask(
    lm: SequenceLM, tasks: list[str], manager: Any, asked: argparse.Namespace
) -> tuple[list[Row], list[str]]:
    """Rows of some tasks, and the names of those that are of whole long texts."""
    from lm_eval import simple_evaluate  # pyright: ignore[reportMissingImports]

    evaluate: Any = simple_evaluate  # overloads that depend on the version
    found = evaluate(
        lm,
        tasks=list(tasks),
        num_fewshot=asked.num_fewshot,
        limit=asked.limit,
        batch_size=asked.batch_size,
        bootstrap_iters=0,  # it forks, which jax does not survive
        log_samples=False,
        task_manager=manager,
    )
    rows, long = [], []
    for task, values in found["results"].items():
        rolls = found["configs"].get(task, {}).get("output_type") == "loglikelihood_rolling"
        how = {"windows": f"windows of {lm.max_length}", "carry": "carried state"}[lm.rolling]
        metrics = {
            name.removesuffix(",none"): value
            for name, value in values.items()
            if isinstance(value, float) and "_stderr" not in name
        }
        counted = found["n-samples"].get(task, {}).get("effective")
        read = {"reading": how} if rolls else {}
        rows.append({"task": task, "model": lm.name, **read, "num_rows": counted, **metrics})
        if rolls:
            long.append(task)
    return rows, long


def show(rows: list[Row]) -> None:
    """Prints a table per task, with a line per model and way of reading, on stderr."""
    from rich.console import Console
    from rich.table import Table

    console = Console(stderr=True)
    for task in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == task]
        names = [name for name in dict.fromkeys(k for row in own for k in row) if name != "task"]
        table = Table(*names, title=task)
        for row in own:
            values = [row.get(name, "") for name in names]
            shown = (f"{v:.4f}" if isinstance(v, float) else str(v) for v in values)
            table.add_row(*shown)
        console.print(table)


if __name__ == "__main__":
    sys.exit(main())
