"""Two runs on the same rows: the figures of a split from its rows, intervals, and the verdict."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from seqmodels.config.errors import UserError
from seqmodels.config.tasks import ACCURACY, LOSS
from seqmodels.evaluation import compare
from seqmodels.evaluation.compare import Scores


def scores(values: np.ndarray, weights: np.ndarray | None = None) -> Scores:
    weights = np.ones(len(values)) if weights is None else weights
    return Scores(values * weights, weights, [f"row {n}" for n in range(len(values))])


def compared(monkeypatch: pytest.MonkeyPatch, a: Scores, b: Scores, metric=LOSS) -> dict:
    given = iter((a, b))
    monkeypatch.setattr(compare, "score_rows", lambda *_, **__: next(given))
    nothing: tuple = (None, None, (None, None), "test")
    return compare.compare_runs(*nothing, metric)


def test_the_interval_is_that_of_the_difference_of_pairs() -> None:
    """With equal weights the difference of means is the mean of differences, of which scipy knows
    the interval; resamples differ, so that they agree to their own noise alone."""
    draw = np.random.default_rng(0)
    hard = draw.normal(size=400)  # common to both, and larger than what separates them
    a, b = hard + 0.1 * draw.normal(size=400), hard + 0.1 * draw.normal(size=400) + 0.02
    found = compare.paired_bootstrap(scores(a), scores(b))
    expected = scipy.stats.bootstrap(
        (a - b,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    np.testing.assert_allclose(found, expected, atol=0.05 * (expected.high - expected.low))
    assert found == compare.paired_bootstrap(scores(a), scores(b))


def test_rows_count_by_their_targets() -> None:
    a = scores(np.array([1.0, 2.0]), np.array([1.0, 9.0]))
    assert a.mean == 1.9


def test_the_verdict_follows_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    base = draw.normal(size=200) + 3
    better, same = scores(base - 0.1), scores(base + 0.001 * draw.normal(size=200))
    found = compared(monkeypatch, better, scores(base))
    assert found["verdict"] == "better"
    assert found["difference"] == pytest.approx(-0.1)
    assert found["interval"] == pytest.approx([-0.1, -0.1])
    assert (found["wins"], found["losses"], found["ties"]) == (200, 0, 0)
    assert found["p_value"] == pytest.approx(2 * 0.5**200)
    assert compared(monkeypatch, scores(base), better)["verdict"] == "worse"
    assert compared(monkeypatch, scores(base), same)["verdict"] == "no difference"
    assert compared(monkeypatch, better, scores(base), ACCURACY)["verdict"] == "worse"
    equal = compared(monkeypatch, scores(base), scores(base))
    assert (equal["ties"], equal["p_value"], equal["verdict"]) == (200, 1.0, "no difference")


def test_the_rows_that_decide_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = np.ones(10), np.ones(10)
    a[3], b[7] = 5.0, 3.0
    found = compared(monkeypatch, scores(a), scores(b))
    assert [one["text"] for one in found["for"]] == ["row 7"]
    assert [one["text"] for one in found["against"]] == ["row 3"]
    assert found["against"][0]["part"] == pytest.approx(-0.4)


def test_other_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="different rows"):
        compared(monkeypatch, scores(np.ones(3)), scores(np.ones(4)))
