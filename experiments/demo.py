"""`make demo`: a tour from data to results, on a corpus that every Python contains.

    python -m experiments.demo [--runs=DIR]

Fits the n-gram baseline, trains an LSTM and a GPT, evaluates all three on the test split, prints a
table, writes a sample of each and plots the learning curves. It uses the same code as `launch.py
train`, `evaluate` and `generate`. Each call uses a new directory: DIR/1, DIR/2, ...
"""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from experiments import program
from experiments.arguments import Arguments, Command
from experiments.generate import write_samples
from seqmodels.config.files import load_config
from seqmodels.config.validate import validate

if TYPE_CHECKING:
    from seqmodels.protocols import Data, Task

MODELS = {"n-gram": "demo_ngram", "LSTM": "demo_lstm", "GPT": "demo_gpt"}
PROMPT = "The "
SPLIT = "test"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Results of one model: metrics, learning curve and sample."""

    name: str
    figures: dict[str, Any]
    rows: list[dict[str, Any]]
    num_parameters: int
    sample: str

    @property
    def seconds(self) -> float:
        """Training time without evaluations."""
        return self.rows[-1]["seconds"]


def define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("runs", "runs/demo", "folder for the work directories", flag_values=values)


def run(arguments: Arguments) -> int:
    started = time.monotonic()
    folder = _fresh(Path(arguments.flags.runs))
    configs = {name: load_config(reference) for name, reference in MODELS.items()}
    for config in configs.values():
        validate(config)
    program.set_up_jax(configs["GPT"])
    from seqmodels.data.pipeline import load_data
    from seqmodels.tasks.build import build_task

    program.show_devices()
    program.say("preparing the Python language reference")
    task = build_task(configs["GPT"])  # next-token prediction, as of the others
    data = load_data(configs["GPT"], task)
    sizes = ", ".join(f"{name} {len(split.tokens):,}" for name, split in data.splits.items())
    program.say(f"characters: {sizes}; {data.description()['vocab_size']} symbols\n")
    outcomes = []
    for name, config in configs.items():
        workdir = folder / Path(MODELS[name]).stem.removeprefix("demo_")
        status, outcome = _train(name, config, workdir, task, data)
        if outcome is None:
            return status
        outcomes.append(outcome)
    program.say("")
    program.say(make_table(outcomes))
    for outcome in outcomes:
        program.say(f"--- {outcome.name} continues {PROMPT!r}\n{outcome.sample}\n")
    figure = draw_curves(outcomes, folder / "learning_curves.png")
    program.say(f"learning curves: {figure}")
    program.say(f"took {time.monotonic() - started:.0f} s in all\n\n{_next_steps(folder)}")
    return program.DONE


def _fresh(runs: Path) -> Path:
    """The first of runs/1, runs/2, ... that does not exist yet."""
    number = 1
    while (runs / str(number)).exists():
        number += 1
    folder = runs / str(number)
    folder.mkdir(parents=True)
    return folder


def _train(
    name: str, config: Any, workdir: Path, task: Task, data: Data
) -> tuple[int, Outcome | None]:
    """Trains, evaluates and samples one model; no outcome where a signal stopped it."""
    import jax

    from seqmodels.evaluation.evaluate import evaluate_run, write_result
    from seqmodels.runs.generate import generate_text
    from seqmodels.runs.rows import read_rows
    from seqmodels.runs.run import load_run
    from seqmodels.training.loop import train

    program.say(f"{name}: python launch.py train --config={MODELS[name]} --workdir={workdir}")
    status = train(config, workdir, task, data)
    if status:
        return status, None
    opened = load_run(workdir)
    figures = evaluate_run(opened, data, SPLIT)
    write_result(workdir, figures)
    settings = {"max_tokens": 300, "temperature": 0.8, "seed": 1}
    made = generate_text(opened, [PROMPT], **settings)
    texts = {"texts": made.texts, "tokens_per_second": made.tokens_per_second}
    write_samples(workdir, {"step": opened.step, "prompt": PROMPT, **settings}, texts)
    size = sum(int(x.size) for x in jax.tree.leaves(opened.params))
    rows = read_rows(workdir / "metrics.jsonl")
    return status, Outcome(name, figures, rows, size, made.texts[0])


def make_table(outcomes: list[Outcome]) -> Any:
    """Makes a table with one row per model, the baseline first."""
    from rich.box import SIMPLE
    from rich.table import Table

    columns = ("nats/char", "bits/byte", "perplexity", "parameters", "training", "sees")
    table = Table(
        "model", *columns, title=f"held-out text ({SPLIT} split)", box=SIMPLE, pad_edge=False
    )
    for column in table.columns[1:-1]:
        column.justify, column.no_wrap = "right", True
    for outcome in outcomes:
        figures = outcome.figures
        bits = f"{figures['bits_per_byte']:.3f}" if "bits_per_byte" in figures else "-"
        table.add_row(
            outcome.name,
            f"{figures['loss']:.3f}",
            bits,
            f"{figures['perplexity']:.2f}",
            f"{outcome.num_parameters:,}",
            f"{outcome.seconds:.0f} s",
            figures["context"],
        )
    return table


def draw_curves(outcomes: list[Outcome], path: Path) -> Path:
    """Plots the loss over training time; a fitted model is a horizontal line."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for color, outcome in enumerate(outcomes):
        curves = {
            split: [(row["seconds"], row["loss"]) for row in outcome.rows if row["split"] == split]
            for split in ("train", "validation")
        }
        style: dict[str, Any] = {"color": f"C{color}"}
        if not curves["train"]:
            level = curves["validation"][-1][1]
            axes.axhline(level, linestyle="--", label=f"{outcome.name}, validation", **style)
            continue
        axes.plot(*zip(*curves["train"], strict=True), alpha=0.4, **style)
        label = f"{outcome.name}, validation (training: paler)"
        axes.plot(*zip(*curves["validation"], strict=True), marker="o", label=label, **style)
    axes.set_xlabel("training time (s)")
    axes.set_ylabel("loss (nats per character)")
    axes.set_title("Learning curves on the Python language reference")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path


def _next_steps(folder: Path) -> str:
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    commands = (
        "list",
        f'generate --workdir={folder}/gpt --prompt="The " --temperature=0.7 --num_samples=3',
        f"inspect --workdir={folder}/lstm",
        f"evaluate --workdir={folder}/lstm --split=validation",
        "batch --config=demo_lstm --step=1",
        "train --config=demo_lstm --config.model.num_layers=2 --workdir=runs/lstm2",
        "train --config=demo_gpt --config.data.name=text_file --config.data.path=YOUR.txt "
        "--workdir=runs/mine",
    )
    return "\n".join(["to try next:", *(f"  {python} launch.py {words}" for words in commands)])


COMMAND = Command("demo", __doc__ or "", run, define)

if __name__ == "__main__":
    program.end(program.main(COMMAND))
