"""What a goal makes of figures, and the page of them."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path
from typing import Any

import pytest

from seqmodels.config.errors import UserError
from seqmodels.evaluation.goals import (
    Goal,
    Measure,
    read_results,
    render_page,
    scores_by_length,
)

BLEU = Goal("german", "multi30k_gru", "bleu", 20.6, 20.0, "somebody")
LOSS = Goal("tunes", "irish_gru", "loss", 1.45, measure=Measure.TRAINING)
OPEN = Goal("open", "stories", "accuracy", None)


def test_the_p_value_is_that_of_a_one_sided_t_test() -> None:
    """Of three values t has the distribution function 1/2 + t / (2 sqrt(2 + t^2))."""
    below = statistics.fmean([1.1, 1.2, 1.3]) - 1.45
    t = below / (statistics.stdev([1.1, 1.2, 1.3]) / math.sqrt(3))
    expected = 0.5 + t / (2 * math.sqrt(2 + t**2))
    assert LOSS.p_value([1.1, 1.2, 1.3]) == pytest.approx(expected)
    assert LOSS.p_value([1.7, 1.6, 1.8]) > 0.9
    assert BLEU.p_value([30.0, 31.0, 29.5]) < 0.01
    for values in ([1.4], [1.4, 1.4]):
        assert LOSS.p_value(values) is None
    assert OPEN.p_value([1.0, 2.0]) is None


def test_a_goal_is_met_from_its_own_side() -> None:
    assert [BLEU.is_met(x) for x in (20.5, 20.6, 30.0, math.nan)] == [False, True, True, False]
    assert [LOSS.is_met(x) for x in (1.44, 1.45, 1.46, math.nan)] == [True, True, False, False]
    assert OPEN.is_met(1.0) is None


def test_the_direction_of_a_goal_is_that_of_its_metric() -> None:
    tunes = Measure.TUNES
    for goal, lower in [
        (BLEU, False),
        (LOSS, True),
        (OPEN, False),
        (Goal("f", "mr_bilstm", "calibration_error", 0.1), True),
        (Goal("g", "irish_gru", "full", 0.8, measure=tunes), False),
        (Goal("h", "irish_gru", "copied_whole", 0.0, measure=tunes), True),
    ]:
        assert goal.lower_is_better is lower, goal
    with pytest.raises(UserError, match=r"language_model has no metric 'los'; .* 'loss'"):
        Goal("a", "irish_gru", "los", 1.0).is_met(1.0)
    with pytest.raises(UserError, match=r"tunes has no metric 'loss'; .*one of: parsed, full"):
        Goal("b", "irish_gru", "loss", 1.0, measure=tunes).is_met(1.0)


def test_the_mean_of_the_seeds_counts() -> None:
    assert LOSS.summarize([1.3, 1.5], 1.7, 90.0) == {
        "name": "tunes",
        "metric": "loss",
        "value": 1.4,
        "published": None,
        "goal": 1.45,
        "met": True,
        "p_value": pytest.approx(0.3524163823495667),
        "baseline": 1.7,
        "seconds": 90.0,
    }
    assert LOSS.summarize([1.3, 1.7], None, 90.0)["met"] is False


def test_the_page_has_every_goal(tmp_path: Path) -> None:
    here = {"date": "2026-01-03", "hardware": "1 x gpu", "versions": "jax 10", "commit": "abc"}
    there = {"date": "2026-01-02", "hardware": "1 x cpu", "versions": "jax 9", "commit": None}
    runs = [{"measured": here, **there}] * 2
    kept = {"overrides": {"model.num_layers": "1"}, "runs": runs}
    found = {**LOSS.summarize([1.3, 1.5], 1.7, 5400.2), "values": [1.3, 1.5], **kept}
    (tmp_path / "tunes.json").write_text(json.dumps(found))
    page = render_page([BLEU, LOSS, OPEN], read_results(tmp_path))
    rows = page[page.index("| name |") :].splitlines()
    assert rows[2:] == [
        "| `german` | bleu (test) | not run | >= 20.6 |  | 20, somebody |  |  |  |",
        "| `tunes` | loss (training) | **1.4** +- 0.14 | <= 1.45 | met, changed |  | 1.7 | 2 | "
        "5,400 s |",
        "| `open` | accuracy (test) | not run |  |  |  |  |  |  |",
        "",
        "## How they were run",
        "",
        "* `tunes`: 2026-01-02, 1 x cpu, jax 9, commit unknown, measured "
        "with abc; with `--config.model.num_layers=1`",
    ]
    (tmp_path / "german.json").write_text("{")
    with pytest.raises(UserError, match=r"german.json: cannot be read"):
        read_results(tmp_path)


def test_the_page_shows_how_scores_fall_with_the_length() -> None:
    def part(shortest: int, longest: int, bleu: float) -> dict[str, float]:
        return {"shortest": shortest, "longest": longest, "bleu": bleu}

    found = BLEU.summarize([30.0, 20.0], 1.0, 9.0)
    found |= {"values": [30.0, 20.0], "overrides": {}}
    here = {"date": "2026-01-03", "hardware": "1 x cpu", "versions": "jax 9", "commit": "abc"}
    runs = [[part(3, 9, 40.0), part(10, 30, 20.0)], [part(3, 9, 30.0), part(10, 30, 11.0)]]
    found["runs"] = [{"by_source_length": rows, "measured": here} for rows in runs]
    page = render_page([BLEU, OPEN], {"german": found}, "bleu.png")
    table = page[page.index("## BLEU") : page.index("## How")].splitlines()
    assert table[2:7] == [
        "![BLEU by the length of the source](bleu.png)",
        "",
        "| name | 3 to 9 | 10 to 30 |",
        "|---|---|---|",
        "| `german` | 35.0 | 15.5 |",
    ]


def test_scores_by_length_are_those_that_the_rows_have() -> None:
    """Whatever the metric; a goal without them, as where the sources are images, is left out."""
    goals = [Goal(name, "dates", "exact_match", 0.9) for name in ("two", "none", "one", "partly")]

    def result(*runs: list[float | None]) -> dict[str, Any]:
        def part(i: int, value: float | None) -> dict[str, Any]:
            return {"shortest": i, "longest": i, "exact_match": value, "bleu": 7.0}

        parts = [[part(i, value) for i, value in enumerate(run)] for run in runs]
        return {"runs": [{"by_source_length": rows} for rows in parts]}

    results = {"two": result([0.2, 0.4], [0.4, 0.8]), "none": {"runs": [{}]}}
    results["partly"] = result([0.5, None])
    results["one"] = {"runs": [*result([0.5])["runs"], {}]}
    found = scores_by_length([*goals, BLEU], results, "exact_match")
    assert found == {
        "two": [
            {"shortest": 0, "longest": 0, "exact_match": pytest.approx(0.3)},
            {"shortest": 1, "longest": 1, "exact_match": pytest.approx(0.6)},
        ]
    }
    assert scores_by_length(goals, results, "bleu") == {}
