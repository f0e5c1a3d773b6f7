"""Goals of the project: measured and published numbers, and the page of results.

Imports no jax.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError
from seqmodels.config.files import load_config
from seqmodels.config.tasks import find_metric
from seqmodels.music.judge import METRICS


class Measure(enum.StrEnum):
    """Origin of a measured value.

    evaluation: `evaluate` on the goal's split.
    training: the last row of the training split in metrics.jsonl.
    tunes: tunes that `music` samples from a run.
    """

    EVALUATION = "evaluation"
    TRAINING = "training"
    TUNES = "tunes"


@dataclasses.dataclass(frozen=True)
class Goal:
    """A value that a config should reach.

    Attributes:
      name: name for `reproduce`.
      config: `NAME` or `NAME:variant`.
      metric: a key of the measured values, declared by the config's task or, for
        `Measure.TUNES`, by `music.judge`.
      goal: the value to reach; None to report without a goal.
      published, source: a published value and its source; None if none is known for the protocol.
      split: the split for `Measure.EVALUATION`.
      after: the goal whose run is needed first; its tokenizer is used, and its parameters if the
        config starts from another run.
      num_folds: of a data set without a published split, the folds to train and test on in turn,
        data.fold = 0, 1, ..; their mean decides. 1 = the fold of the config.
    """

    name: str
    config: str
    metric: str
    goal: float | None
    published: float | None = None
    source: str = ""
    split: str = "test"
    measure: Measure = Measure.EVALUATION
    after: str | None = None
    num_folds: int = 1

    @functools.cached_property
    def lower_is_better(self) -> bool:
        """Whether a lower value is better, as the declaration of the metric says.

        Raises:
          UserError: there is no such config, or its task has no such metric.
        """
        if self.measure is Measure.TUNES:
            return find_metric(METRICS, self.metric, "a set of tunes").lower_is_better
        return load_config(self.config).task.metric(self.metric).lower_is_better

    def is_met(self, value: float) -> bool | None:
        """Whether a value reaches the goal; NaN never does. None without a goal."""
        if self.goal is None:
            return None
        return value <= self.goal if self.lower_is_better else value >= self.goal

    def p_value(self, values: Sequence[float]) -> float | None:
        """Chance of a mean this far on the right side of the goal if the true one were the goal.

        By the one-sided t test over the seeds; None for one seed, or without a goal.
        """
        if self.goal is None or len(values) < 2:
            return None
        if len(set(values)) == 1:  # no spread, and so no test
            return None
        from scipy.stats import ttest_1samp

        side = "less" if self.lower_is_better else "greater"
        found: Any = ttest_1samp(values, self.goal, alternative=side)
        return float(found.pvalue)

    def summarize(
        self, values: Sequence[float], baseline: float | None, seconds: float
    ) -> dict[str, Any]:
        """Makes the answer of `reproduce --json`.

        Args:
          values: values of the seeds; their mean decides, and `p_value` says how surely.
          baseline: value of the baseline; None if there is none.
          seconds: total time of all seeds.
        """
        value = statistics.fmean(values)
        return {
            "name": self.name,
            "metric": self.metric,
            "value": value,
            "published": self.published,
            "goal": self.goal,
            "met": self.is_met(value),
            "p_value": self.p_value(values),
            "baseline": baseline,
            "seconds": seconds,
        }


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """Reads the recorded results NAME.json of a folder, by name.

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

Losses are in nats, BLEU is out of 100, mse and crps are of values scaled by the training split,
everything else is a share from 0 to 1. The baseline needs no
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
    for name, parts in scores_by_length(goals, results, "bleu").items():
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


def scores_by_length(
    goals: Iterable[Goal], results: dict[str, dict[str, Any]], metric: str
) -> dict[str, list[dict[str, Any]]]:
    """A metric by the length of the source, as the means of the seeds.

    Returns:
      Name -> parts of the split (shortest, longest and the metric), for each goal of that metric
      whose runs have it in every row of `by_source_length`.
    """
    found = {}
    for goal in goals:
        if goal.metric != metric or goal.name not in results:
            continue
        runs = [run.get("by_source_length", []) for run in results[goal.name]["runs"]]
        parts = list(zip(*runs, strict=True)) if all(runs) else []
        if parts and all(row.get(metric) is not None for part in parts for row in part):
            found[goal.name] = [
                {
                    "shortest": part[0]["shortest"],
                    "longest": part[0]["longest"],
                    metric: statistics.fmean(row[metric] for row in part),
                }
                for part in parts
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
        spread += f" over {goal.num_folds} folds" if goal.num_folds > 1 else ""
        shown = f"**{result['value']:.4g}**{spread}"
        seconds = f"{result['seconds']:,.0f} s"
        cells += [
            shown,
            wanted,
            met,
            published,
            baseline,
            str(len(values) // goal.num_folds),
            seconds,
        ]
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
