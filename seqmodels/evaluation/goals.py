"""Numbers to reach: what is measured, what was published, and a page of what came out.

Imports no jax.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError


class Measure(enum.StrEnum):
    """Where a figure comes from.

    evaluation: `evaluate` on the goal's split.
    training: the last row of the training split in metrics.jsonl.
    tunes: the tunes that `music` has a run write.
    """

    EVALUATION = "evaluation"
    TRAINING = "training"
    TUNES = "tunes"


@dataclasses.dataclass(frozen=True)
class Goal:
    """A figure that a config is to reach.

    Attributes:
      name: what `reproduce` calls it.
      config: `NAME` or `NAME:variant`.
      metric: a key of what `measure` finds.
      goal: the value to reach; None where there is none to be met.
      published, source: a figure of others and whose; None where none is known in this protocol.
      lower_is_better: of the metric.
      split: what is measured on, by `Measure.EVALUATION`.
      after: the goal whose run has to be there before; its tokenizer is read, and its parameters
        are begun with where the config begins with those of any run.
    """

    name: str
    config: str
    metric: str
    goal: float | None
    published: float | None = None
    source: str = ""
    lower_is_better: bool = False
    split: str = "test"
    measure: Measure = Measure.EVALUATION
    after: str | None = None

    def is_met(self, value: float) -> bool | None:
        """Whether a value reaches the goal; NaN reaches none."""
        if self.goal is None:
            return None
        return value <= self.goal if self.lower_is_better else value >= self.goal

    def summarize(
        self, values: Sequence[float], baseline: float | None, seconds: float
    ) -> dict[str, Any]:
        """What `reproduce --json` prints.

        Args:
          values: of the seeds; what counts is their mean.
          baseline: what needs no training has; None where there is nothing to compare with.
          seconds: of all seeds together.
        """
        value = statistics.fmean(values)
        return {
            "name": self.name,
            "metric": self.metric,
            "value": value,
            "published": self.published,
            "goal": self.goal,
            "met": self.is_met(value),
            "baseline": baseline,
            "seconds": seconds,
        }


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """What was recorded in a folder, NAME.json each, by name.

    Raises:
      UserError: a file is damaged.
    """
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path.stem] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read: {error}") from None
    return found


_HEAD = """# Results

Each row is a goal: `python launch.py reproduce NAME` trains its config, measures it, and reports
whether the goal was met. This page is generated from the files of `experiments/results/`, which
`python launch.py reproduce NAME --record` writes; a test checks that the two agree. Each config
file's docstring is a lab note with the command, the hardware, the wall time and the comparison.

Losses are in nats, BLEU runs to 100, everything else is a share from 0 to 1. The baseline needs no
training and is the one that `evaluate` prints. With several seeds a value is the mean +- the
standard deviation. The wall time covers training, its evaluations and the measurement. "Changed"
means that the config was trained with the overrides listed under "How they were run". Tunes: 50,
sampled at temperature 0.5.

| name | metric | ours | goal | | published | baseline | seeds | wall time |
|---|---|---|---|---|---|---|---|---|
"""


def render_page(
    goals: Sequence[Goal], results: dict[str, dict[str, Any]], picture: str = "", notes: str = ""
) -> str:
    """The page of results, in Markdown.

    One row per goal, BLEU by the length of the source, how each result was obtained, the notes.

    Args:
      goals: one per row.
      results: recorded results by the name of their goal.
      picture: address of the plot of BLEU by the length of the source; "" leaves it out.
      notes: Markdown of what was measured by hand.
    """
    rows = [_row(goal, results.get(goal.name)) for goal in goals]
    runs = [_note(goal.name, results[goal.name]) for goal in goals if goal.name in results]
    lengths = collections.defaultdict(list)
    for name, parts in bleu_by_length(goals, results).items():
        head = tuple(f"{part['shortest']} to {part['longest']}" for part in parts)
        scores = " | ".join(f"{part['bleu']:.1f}" for part in parts)
        lengths[head].append(f"| `{name}` | {scores} |\n")
    page = _HEAD + "".join(rows)
    if lengths:
        page += "\n## BLEU by the length of the source, in tokens\n"
        page += f"\n![BLEU by the length of the source]({picture})\n" if picture else ""
    for head, lines in lengths.items():
        page += f"\n| name | {' | '.join(head)} |\n|{'---|' * (1 + len(head))}\n" + "".join(lines)
    page += "\n## How they were run\n\n" + "".join(runs) if runs else ""
    return page + (f"\n## Further measurements\n\n{notes}" if notes else "")


def bleu_by_length(
    goals: Iterable[Goal], results: dict[str, dict[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """Of each translation that was run, by name: the parts of the split with the seeds' means."""
    found = {}
    for goal in goals:
        if goal.metric == "bleu" and goal.name in results:
            runs = [run["by_source_length"] for run in results[goal.name]["runs"]]
            found[goal.name] = [
                {**part[0], "bleu": statistics.fmean(row["bleu"] for row in part)}
                for part in zip(*runs, strict=True)
            ]
    return found


def _row(goal: Goal, result: dict[str, Any] | None) -> str:
    where = f" ({goal.split})" if goal.measure is Measure.EVALUATION else f" ({goal.measure})"
    bound = "<=" if goal.lower_is_better else ">="
    wanted = "" if goal.goal is None else f"{bound} {goal.goal:g}"
    published = "" if goal.published is None else f"{goal.published:g}, {goal.source}"
    cells = [f"`{goal.name}`", goal.metric.replace("_", " ") + where]
    if result is None:
        cells += ["not run", wanted, "", published, "", "", ""]
    else:
        values = result["values"]
        spread = f" +- {statistics.stdev(values):.2g}" if len(values) > 1 else ""
        met = {True: "met", False: "missed", None: ""}[result["met"]]
        met = ", ".join(filter(None, [met, "changed" if result["overrides"] else ""]))
        baseline = "" if result["baseline"] is None else f"{result['baseline']:.4g}"
        shown = f"**{result['value']:.4g}**{spread}"
        seconds = f"{result['seconds']:,.0f} s"
        cells += [shown, wanted, met, published, baseline, str(len(values)), seconds]
    return f"| {' | '.join(cells)} |\n"


def _note(name: str, result: dict[str, Any]) -> str:
    overrides = " ".join(f"--config.{k}={v}" for k, v in result["overrides"].items())
    changed = f"; with `{overrides}`" if overrides else ""
    first = result["runs"][0]
    trained = {"commit": None, **first["measured"], **first}
    measured = first["measured"]["commit"]
    later = f", measured with {measured}" if measured not in (None, trained["commit"]) else ""
    return (
        f"* `{name}`: {trained['date']}, {trained['hardware']}, {trained['versions']}, commit "
        f"{trained['commit'] or 'unknown'}{later}{changed}\n"
    )
