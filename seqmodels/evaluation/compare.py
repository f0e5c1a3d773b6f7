"""Two runs on the same rows: which is better, how sure that is, and the examples that decide."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from seqmodels.config.errors import UserError
from seqmodels.config.tasks import Metric
from seqmodels.protocols import Data
from seqmodels.runs.run import Run
from seqmodels.types import Batch

RESAMPLES, LEVEL, SEED = 10_000, 0.95, 0
MOST_SHOWN = 5
"""Examples that are shown on each side."""
_LONGEST = 300


@dataclasses.dataclass(frozen=True)
class Scores:
    """A metric of each row, as (sum, weight).

    Attributes:
      sums, weights: [n], float64; the metric of the split is sum(sums) / sum(weights).
      texts: the row as text.
    """

    sums: Float[np.ndarray, " n"]
    weights: Float[np.ndarray, " n"]
    texts: list[str]

    @property
    def mean(self) -> float:
        """The metric of the split."""
        return float(self.sums.sum() / self.weights.sum())


def score_rows(run: Run, data: Data, split: str, metric: str, *, texts: bool = False) -> Scores:
    """Evaluates a run row by row.

    Each row is a batch by itself, so that the sums of any task are those of the row. Rows without a
    target are left out.

    Args:
      metric: one of the sums of the task's `forward`.
      texts: whether to write the rows as text.

    Raises:
      UserError: the task has no such sum per row.
    """
    task, config = run.task, run.config
    data.check_split(split)
    rows = data.rows(split, config.evaluation, config.training.seed)
    length = config.evaluation.sequence_length

    def one(params: Any, carry: Any, batch: Batch) -> Any:
        alone = lambda tree: jax.tree.map(lambda x: x[None], tree)
        _, _, metrics, carry = task.forward(
            run.model, params, alone(batch), alone(carry), train=False, key=None
        )
        if metric not in metrics:
            raise UserError(f"--compare: {config.task.kind} has no {metric} per row")
        return metrics[metric], jax.tree.map(lambda x: x[0], carry)

    score = jax.jit(jax.vmap(one, in_axes=(None, 0, 0)))
    start = jax.jit(
        lambda params, count: run.model.apply(
            {"params": params}, count, length, method="initial_carry"
        ),
        static_argnums=1,
    )
    sums, weights, shown, carry = [], [], [], None
    for batch, starts in rows.batches(1):
        if rows.num_streams is not None and starts:
            carry = start(run.params, len(batch.inputs))
        (total, weight), carry = score(run.params, carry, jax.tree.map(jnp.asarray, batch))
        total, weight = (np.asarray(x, np.float64) for x in (total, weight))
        kept = np.flatnonzero(weight > 0)
        sums.append(total[kept])
        weights.append(weight[kept])
        if texts:
            shown += [task.show(batch, int(row), data.features) for row in kept]
    return Scores(np.concatenate(sums), np.concatenate(weights), shown)


def paired_bootstrap(
    first: Scores, second: Scores, *, resamples: int = RESAMPLES, level: float = LEVEL
) -> tuple[float, float]:
    """A percentile interval of mean(first) - mean(second), resampling rows that both have.

    Source: Efron and Tibshirani, 1993; for paired systems Koehn, 2004.

    Args:
      level: share of the resamples inside.
    """
    draw = np.random.Generator(np.random.Philox(SEED))
    count, found = len(first.sums), []
    for begin in range(0, resamples, 500):
        size = (min(500, resamples - begin), count)
        chosen = draw.integers(0, count, size)
        means = [
            x.sums[chosen].sum(axis=1) / x.weights[chosen].sum(axis=1) for x in (first, second)
        ]
        found.append(means[0] - means[1])
    outside = (1 - level) / 2
    low, high = np.quantile(np.concatenate(found), (outside, 1 - outside))
    return float(low), float(high)


def compare_runs(
    first: Run, second: Run, data: tuple[Data, Data], split: str, metric: Metric
) -> dict[str, Any]:
    """Compares two runs of one task on the same rows.

    Args:
      data: of each run, with its own features.
      metric: which the task declares and finds for single rows.

    Returns:
      metric, lower_is_better; this and other (values on the split), difference (this - other) and
      its interval; rows, wins, losses and ties of this run; p_value of the sign test; verdict
      (better, worse, or no difference, where the interval holds 0); and the examples that decide:
      `for` and `against`, each with text, this, other and share of the difference.

    Raises:
      UserError: the runs do not have the same rows.
    """
    from scipy.stats import binomtest

    a = score_rows(first, data[0], split, metric.name, texts=True)
    b = score_rows(second, data[1], split, metric.name)
    refuse_other_rows(a, b)
    low, high = paired_bootstrap(a, b)
    sign = -1.0 if metric.lower_is_better else 1.0
    gain = sign * (a.sums / a.weights - b.sums / b.weights)
    wins, losses = int((gain > 0).sum()), int((gain < 0).sum())
    decided = low > 0 or high < 0
    difference = a.mean - b.mean
    better = "better" if sign * difference > 0 else "worse"
    return {
        "metric": metric.name,
        "lower_is_better": metric.lower_is_better,
        "this": a.mean,
        "other": b.mean,
        "difference": difference,
        "interval": [low, high],
        "level": LEVEL,
        "rows": len(gain),
        "wins": wins,
        "losses": losses,
        "ties": len(gain) - wins - losses,
        "p_value": float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0,
        "verdict": better if decided else "no difference",
        **_deciding(a, b, sign),
    }


def refuse_other_rows(a: Scores, b: Scores) -> None:
    """Raises UserError where two runs were not scored on the same rows."""
    if len(a.sums) != len(b.sums) or not np.array_equal(a.weights, b.weights):
        raise UserError(
            f"--compare: the runs have different rows ({len(a.sums):,} with "
            f"{a.weights.sum():,.0f} targets, {len(b.sums):,} with {b.weights.sum():,.0f}); give "
            "both the same data, tokenizer and evaluation section"
        )


def _deciding(a: Scores, b: Scores, sign: float) -> dict[str, list[dict[str, Any]]]:
    """The rows that add most to the difference, on each side."""
    parts = sign * (a.sums - b.sums) / a.weights.sum()
    order = np.argsort(-parts, kind="stable")

    def show(rows: Any) -> list[dict[str, Any]]:
        return [
            {
                "row": int(row),
                "text": a.texts[row][:_LONGEST],
                "this": float(a.sums[row] / a.weights[row]),
                "other": float(b.sums[row] / b.weights[row]),
                "part": float(parts[row]),
            }
            for row in rows
        ]

    first = [row for row in order[:MOST_SHOWN] if parts[row] > 0]
    last = [row for row in order[::-1][:MOST_SHOWN] if parts[row] < 0]
    return {"for": show(first), "against": show(last)}


def comparison_tables(found: dict[str, Any], names: tuple[str, str]) -> list[Any]:
    """A comparison for a person, to be printed by rich."""
    from rich.table import Table
    from rich.text import Text

    low, high = found["interval"]
    table = Table("", found["metric"], title=f"{found['rows']:,} rows: {found['verdict']}")
    table.columns[1].justify = "right"
    table.add_row(names[0], f"{found['this']:.4f}")
    table.add_row(names[1], f"{found['other']:.4f}")
    table.add_row("difference", f"{found['difference']:+.4f}")
    table.add_row(f"{found['level']:.0%} interval", f"{low:+.4f} to {high:+.4f}")
    table.add_row(
        "rows won, lost, tied", f"{found['wins']:,}, {found['losses']:,}, {found['ties']:,}"
    )
    table.add_row("sign test p", f"{found['p_value']:.2g}")
    tables: list[Any] = [table]
    for side, title in (("for", "decide for this run"), ("against", "decide against it")):
        if found[side]:
            rows = Table("row", "this", "other", "example", title=title)
            for one in found[side]:
                values = (str(one["row"]), f"{one['this']:.4f}", f"{one['other']:.4f}")
                rows.add_row(*values, Text(one["text"]))
            tables.append(rows)
    return tables
