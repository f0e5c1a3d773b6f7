"""Numbers in words: spelt, read back by a second reader, dealt out to splits."""

from __future__ import annotations

import collections
import itertools

from seqmodels.config.files import load_config
from seqmodels.data.datasets import numbers
from seqmodels.data.datasets.numbers import split_numbers, write
from tests.data.sets import digest_of, open_columns

SPELT = {
    0: "zero",
    13: "thirteen",
    40: "forty",
    99: "ninety-nine",
    100: "one hundred",
    815: "eight hundred and fifteen",
    1000: "one thousand",
    2020: "two thousand and twenty",
    42_107: "forty-two thousand one hundred and seven",
    100_000: "one hundred thousand",
    512_300: "five hundred and twelve thousand three hundred",
    999_999: "nine hundred and ninety-nine thousand nine hundred and ninety-nine",
}
VALUES = {
    word: number
    for words, first, step in (
        ("zero one two three four five six seven eight nine ten eleven twelve", 0, 1),
        ("thirteen fourteen fifteen sixteen seventeen eighteen nineteen", 13, 1),
        ("twenty thirty forty fifty sixty seventy eighty ninety", 20, 10),
    )
    for number, word in zip(itertools.count(first, step), words.split(), strict=False)
}


def read(text: str) -> int:
    """What the words mean, by adding up."""
    thousands, part = 0, 0
    for word in text.replace("-", " ").split():
        if word == "thousand":
            thousands, part = 1000 * part, 0
        elif word == "hundred":
            part *= 100
        elif word != "and":
            part += VALUES[word]
    return thousands + part


def test_spelt() -> None:
    assert {number: write(number) for number in SPELT} == SPELT


def test_words_mean_the_number() -> None:
    for number in itertools.chain(range(2000), range(2000, numbers.END, 97)):
        assert read(write(number)) == number


def test_no_number_is_in_two_splits() -> None:
    splits = split_numbers()
    counts = [len(found) for found in splits.values()]
    assert sum(counts) == numbers.END and all(49_000 < count < 51_000 for count in counts[1:])
    assert all(found.min() >= 100 for name, found in splits.items() if name != "train")
    pairs = open_columns("numbers").splits()
    assert {name: len(columns["source"]) for name, columns in pairs.items()} == numbers.NUM_PAIRS
    assert digest_of(pairs) == "81e591951656f7e2"
    for one, other in itertools.combinations(pairs, 2):
        assert not set(pairs[one]["target"]) & set(pairs[other]["target"])
    for name, columns in pairs.items():
        sources, targets = columns["source"], columns["target"]
        assert set(map(int, targets)) <= set(splits[name].tolist())
        assert [read(source) for source in sources[:500]] == list(map(int, targets[:500]))


def test_each_number_of_digits_is_as_frequent() -> None:
    for split, columns in open_columns("numbers").splits().items():
        targets = columns["target"]
        lengths = collections.Counter(map(len, targets))
        assert sorted(lengths) == list(range(1 if split == "train" else 3, 7))
        expected = len(targets) / len(lengths)
        assert all(0.8 * expected < count < 1.2 * expected for count in lengths.values())


def test_the_longest_fits_the_config() -> None:
    lengths = load_config("numbers").data.lengths()
    longest = 1 + max(len(write(n)) for n in range(1000)) + len(" thousand")
    longest += max(len(write(n)) for n in range(1000))
    assert longest <= lengths["source.max_length"] and lengths["targets.max_length"] > 6
