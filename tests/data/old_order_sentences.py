"""The built-in sentences of praise and blame: what they mean, and what does not tell it."""

from __future__ import annotations

from pathlib import Path

from seqmodels.tasks.naive_bayes import naive_bayes
from tests.data.test_labelled import load


def test_neighbours_say_nothing_of_the_class(tmp_path: Path) -> None:
    data = load(cache_dir=str(tmp_path))
    guesses = naive_bayes(data.splits["train"], data.splits["test"], 2).argmax(axis=1)
    assert 0.4 < (guesses == data.splits["test"].labels).mean() < 0.55
