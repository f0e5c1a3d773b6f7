"""Little stories: answered by a second reader, and not by looking at words."""

from __future__ import annotations

import collections
import itertools
from pathlib import Path

import pytest

from seqmodels.config.files import load_config
from seqmodels.data import order
from seqmodels.data.datasets import stories
from seqmodels.data.datasets.stories import PLACES
from seqmodels.tasks.class_baselines import bags, labels_of
from seqmodels.tasks.naive_bayes import naive_bayes
from tests.data.sets import digest_of, open_columns
from tests.opening import load


def told(count: int = 1000) -> list[tuple[str, str]]:
    draws = order.draw(1, "test", 0, count * stories._NUM_DRAWS).reshape(count, -1)
    return [stories.tell(iter(row.tolist())) for row in draws]


def answer(text: str) -> str:
    """From the end: who touched it last; what happens after it was dropped does not count."""
    *lines, question = text.removesuffix(" ?").split(" . ")
    asked = question.split()[-1]
    for number, line in reversed(list(enumerate(lines))):
        who, *_, last = line.split()
        if asked == who and last in PLACES:
            return last
        if asked == last:
            dropped = "drop" in line or "down" in line
            told = lines[:number] if dropped else lines
            return [line.split()[-1] for line in told if line.startswith(who) and _goes(line)][-1]
    raise AssertionError(text)


def _goes(line: str) -> bool:
    return line.split()[-1] in PLACES


def test_a_second_reader_gives_the_same_answers() -> None:
    for text, expected in told():
        assert answer(text) == expected, text


def test_nobody_takes_what_is_not_there() -> None:
    """A thing that was dropped is taken up at that place, by one who is there, and not twice."""
    for text, _ in told():
        place: dict[str, str] = {}
        where: dict[str, str] = {}
        for line in text.split(" . ")[:-1]:
            who, *_, last = line.split()
            if last in PLACES:
                assert place.get(who) != last
                place[who] = last
            elif "took" in line or "picked" in line:
                assert where.get(last, place[who]) == place[who]
                where[last] = who
            else:
                assert where[last] == who
                where[last] = place[who]


def test_splits_and_questions() -> None:
    dataset = open_columns("stories")
    assert dataset.classes("label") == PLACES
    found = dataset.splits()
    texts = {split: columns["text"] for split, columns in found.items()}
    assert {split: len(of) for split, of in texts.items()} == stories.NUM_STORIES
    assert digest_of(found) == "49c46a1128fcc972"
    for one, other in itertools.combinations(texts, 2):
        assert not set(texts[one]) & set(texts[other])
    things = sum("where is the " in text for text in texts["train"]) / len(texts["train"])
    assert 0.5 < things < 0.6
    shares = collections.Counter(found["train"]["label"])
    assert set(shares) == set(PLACES)
    assert all(0.9 < 6 * count / len(texts["train"]) < 1.1 for count in shares.values())
    assert {text.count(" .") for text in texts["train"]} == {5, 6, 7, 8, 9}
    longest = load_config("stories").data.lengths()["inputs.max_length"]
    assert 1 + max(len(text.split()) for text in texts["train"]) <= longest


def test_words_without_their_order_do_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stories, "NUM_STORIES", {"train": 4000, "validation": 100, "test": 500})
    config = load_config("stories")
    config.data.cache_dir = str(tmp_path)
    splits = load(config).splits
    train, test = splits["train"], splits["test"]
    guesses = naive_bayes(bags(train), labels_of(train), bags(test), 6).argmax(axis=1)
    assert 0.2 < (guesses == labels_of(test)).mean() < 0.5
