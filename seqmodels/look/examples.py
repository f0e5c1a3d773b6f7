"""The rows of a split that a run predicts best and worst."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.evaluation.compare import score_rows
from seqmodels.look.sections import Section, Table
from seqmodels.runs.run import load_run, open_data

LONGEST = 400


def look_at_rows(place: Path, count: int, split: str = "validation") -> Section | None:
    """The `count` best and worst rows by loss per target; None where they cannot be had.

    The data may have been moved or changed since the training; a report is made all the same.
    """
    try:
        run = load_run(place)
        data = open_data(place, run.config, run.task)
        scores = score_rows(run, data, split, "loss", texts=True)
    except UserError as error:
        return Section("examples", "Best and worst rows", f"None: {error}")
    means = scores.sums / scores.weights
    order = np.argsort(means, kind="stable")
    section = Section(
        "examples",
        "Best and worst rows",
        f"Of {len(means):,} rows of the {split} split, by loss per target (nats); mean "
        f"{scores.mean:.4f}.",
        numbers={"mean": scores.mean, "losses": means},
    )
    for title, rows in (("Best", order[:count]), ("Worst", order[::-1][:count])):
        table = [
            [int(row), float(means[row]), float(scores.weights[row]), scores.texts[row][:LONGEST]]
            for row in rows
        ]
        section.tables.append(Table(title, ["row", "loss", "targets", "row as text"], table))
    return section
