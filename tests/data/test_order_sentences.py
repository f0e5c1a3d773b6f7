"""The built-in sentences of praise and blame: what they mean, and what does not tell it."""

from __future__ import annotations

import collections
from typing import Any

from seqmodels.config.files import load_config
from seqmodels.data import order
from seqmodels.data.datasets import order_sentences
from seqmodels.data.datasets.order_sentences import split_words
from seqmodels.tasks.class_baselines import bags, labels_of
from seqmodels.tasks.naive_bayes import naive_bayes
from tests.data.sets import digest_of, open_columns
from tests.opening import load


def sentences() -> Any:
    dataset = open_columns("order_sentences")
    assert dataset.classes("label") == ("negative", "positive") and dataset.classes("text") is None
    return dataset.splits()


def test_sentences_mean_what_is_not_denied() -> None:
    """By a reader of its own: which word is denied, and whether the whole is."""
    texts, labels = sentences()["train"].values()
    good, bad = set(order_sentences._GOOD), set(order_sentences._BAD)
    for text, label in zip(texts[:2000], labels[:2000], strict=True):
        first, second = text.split(" , ")
        whole = text.startswith(("nobody", "it is a lie"))
        meant = []
        for clause in (first, second):
            (word,) = (good | bad) & set(clause.split())
            meant.append((word in good) != (" not " in clause))
        assert meant[0] == meant[1]
        assert label == ("positive" if meant[0] != whole else "negative"), text


def test_the_same_words_mean_both() -> None:
    for columns in sentences().values():
        texts, labels = columns["text"], columns["label"]
        bags = [sorted(text.split()) for text in texts]
        assert bags[::2] == bags[1::2]
        assert all(one != other for one, other in zip(labels[::2], labels[1::2], strict=True))


def test_order_and_negation_and_the_clause_in_front_turn_the_class() -> None:
    """Each by itself; and what overlooks one of the first two is right half the time."""
    words = split_words()["test"]
    wrong = collections.Counter[str]()
    for i in range(400):
        numbers = order.draw(1, "test", 10 * i, 10 * i + 10).tolist()
        text, praise = order_sentences.write(words, numbers, False)
        twin, twin_praise = order_sentences.write(words, numbers, True)
        moved, moved_praise = order_sentences.write(
            words, [n ^ (1 << 11) if at == 5 else n for at, n in enumerate(numbers)], False
        )
        assert sorted(text.split()) == sorted(twin.split()) == sorted(moved.split())
        assert text.replace(" not", "") == moved.replace(" not", "") and text != moved
        assert praise != twin_praise and praise != moved_praise
        denied = text.startswith(("nobody", "it is a lie"))
        good = set(order_sentences._GOOD)
        first = text.split(" , ")[0]
        wrong["word in front"] += (first.split()[-1] in good) != praise
        wrong["the whole"] += ((first.split()[-1] in good) != (" not " in first)) != praise
        assert denied == (((first.split()[-1] in good) != (" not " in first)) != praise)
    assert 160 < wrong["word in front"] < 240 and 30 < wrong["the whole"] < 75


def test_no_pair_of_praise_and_blame_is_in_two_splits() -> None:
    words = {name: set(pairs) for name, pairs in split_words().items()}
    assert [len(pairs) for pairs in words.values()] == [54, 5, 5]
    assert len(set().union(*words.values())) == 64
    found = sentences()
    counts = {name: len(columns["text"]) for name, columns in found.items()}
    assert counts == order_sentences.NUM_SENTENCES
    assert digest_of(found) == "f1bc7c2c7adad4f3"
    texts = {name: columns["text"] for name, columns in found.items()}
    trained = {word for text in texts["train"] for word in text.split()}
    for name in ("validation", "test"):
        assert not set(texts[name]) & set(texts["train"])
        assert {word for text in texts[name] for word in text.split()} <= trained


def test_neighbours_say_nothing_of_the_class() -> None:
    splits = load(load_config("order_lstm")).splits
    train, test = splits["train"], splits["test"]
    guesses = naive_bayes(bags(train), labels_of(train), bags(test), 2).argmax(axis=1)
    assert 0.4 < (guesses == labels_of(test)).mean() < 0.55
