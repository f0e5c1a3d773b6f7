"""Little stories: answered by a second reader, and not by looking at words."""

from __future__ import annotations

import collections
import itertools
from pathlib import Path

import pytest
from seqmodels.config.labelled import LabelledTextDataConfig

from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.files import load_config
from seqmodels.config.recurrent import RecurrentEncoderConfig
from seqmodels.config.tasks import ClassificationConfig
from seqmodels.data.datasets import stories
from seqmodels.data.datasets.stories import PLACES, Stories
from seqmodels.data.pipeline import load_data
from seqmodels.tasks.naive_bayes import naive_bayes
from tests.data.helpers import digest_of


def test_splits_and_questions() -> None:
    found = Stories.source(LabelledTextDataConfig()).read().splits
    texts = {split: of for split, (of, _) in found.items()}
    assert {split: len(of) for split, of in texts.items()} == stories.NUM_STORIES
    assert digest_of(found) == "49c46a1128fcc972"
    for one, other in itertools.combinations(texts, 2):
        assert not set(texts[one]) & set(texts[other])
    things = sum("where is the " in text for text in texts["train"]) / len(texts["train"])
    assert 0.5 < things < 0.6
    shares = collections.Counter(found["train"][1])
    assert set(shares) == set(PLACES)
    assert all(0.9 < 6 * count / len(texts["train"]) < 1.1 for count in shares.values())
    assert {text.count(" .") for text in texts["train"]} == {5, 6, 7, 8, 9}
    config = load_config("stories").data
    assert isinstance(config, LabelledTextDataConfig)
    assert 1 + max(len(text.split()) for text in texts["train"]) <= config.max_length


def test_words_without_their_order_do_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {"train": 4000, "validation": 100, "test": 500}
    monkeypatch.setattr(stories, "NUM_STORIES", few)
    data = LabelledTextDataConfig(name="stories", cache_dir=str(tmp_path))
    config = ExperimentConfig(RecurrentEncoderConfig(), data, ClassificationConfig())
    splits = load_data(config).splits
    right = naive_bayes(splits["train"], splits["test"], 6).argmax(axis=1) == splits["test"].labels
    assert 0.2 < right.mean() < 0.5
