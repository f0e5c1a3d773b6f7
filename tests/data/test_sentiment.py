"""Film reviews as they were published: Rotten Tomatoes in ten folds, and SST-2."""

from __future__ import annotations

import collections
from typing import Any

from tests.data.helpers import data_root
from tests.data.sets import digest_of, open_columns


def test_published_sets() -> None:
    """The counts of their authors and of Kim (2014)."""
    data_root()
    counts = lambda splits: {name: len(columns["text"]) for name, columns in splits.items()}
    dataset = open_columns("sst2")
    sst: Any = dataset.splits()
    assert dataset.classes("label") == ("negative", "positive")
    assert dataset.locate("validation", 1) == "stsa.binary.dev, line 2"
    assert counts(sst) == {"train": 6920, "validation": 872, "test": 1821}
    assert collections.Counter(sst["train"]["label"]) == {"negative": 3310, "positive": 3610}
    train, validation, test = (set(columns["text"]) for columns in sst.values())
    assert not validation & (train | test) and len(train & test) == 2  # as published
    opened = [open_columns("rotten_tomatoes", fold=fold) for fold in (0, 1, 9)]
    assert len({one.fingerprint() for one in opened}) == 3
    folds = [one.splits() for one in opened]
    for splits in folds:
        assert sum(counts(splits).values()) == 10_662
        assert all(900 < n < 1200 for n in list(counts(splits).values())[1:])
        found = [set(columns["text"]) for columns in splits.values()]
        assert sum(map(len, found)) == len(set().union(*found))
    assert folds[0]["validation"] == folds[1]["test"]
    assert digest_of(folds[2]) == "13f3135fcc03ea09"
    labels = collections.Counter(x for of in folds[0].values() for x in of["label"])
    assert labels == {"negative": 5331, "positive": 5331}
