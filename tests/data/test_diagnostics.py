"""The diagnostics: pinned, right by a second definition, each example in one split."""

from __future__ import annotations

import hashlib
import itertools
import re
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from experiments.configs._diagnostics import LONGEST, SIZES, steps_of
from seqmodels import registry
from seqmodels.config.data import DataConfig
from seqmodels.data.datasets import diagnostics
from seqmodels.data.datasets.diagnostics import COUNTS, NO_TARGET, Diagnostic

NUM = 60
"""Examples of each split that are looked at."""
PINNED = {
    "adding": "c64623d56b6a3129",
    "copy": "cfb88e5b0784a677",
    "selective_copy": "518dbd319c415ee1",
    "recall": "dd116e0a1246ae90",
    "induction": "07c5e7bc23c99bae",
    "parity": "36bb18e438bf73ba",
    "even_pairs": "2799e52a66ab5dee",
    "cycle_navigation": "7d5fda1780f612bb",
    "modular_arithmetic": "e7072a487d1bf4f5",
    "a5_words": "85b58c85078ceab9",
    "reverse": "75c3f97d46c63fc6",
    "duplicate": "03da6e654a319f68",
    "bucket_sort": "ebd7536b283095ab",
    "dyck": "3494ece1f8aba24c",
    "listops": "710aff01e57a7c64",
}
"""Of the first 40 examples of each split: results on others could not be compared."""


def open_set(name: str) -> Diagnostic:
    entry = registry.DATASETS[name.partition(":")[0]]
    return registry.resolve(entry.implementation).open(DataConfig(name=name))


def make_sets() -> dict[str, dict[str, list[tuple[Any, Any]]]]:
    """The first examples of every diagnostic, by split."""
    return {
        name: {split: open_set(name).examples(split, NUM) for split in COUNTS} for name in PINNED
    }


@pytest.fixture(scope="module")
def sets() -> dict[str, dict[str, list[tuple[Any, Any]]]]:
    return make_sets()


def test_the_examples_are_pinned(sets: Any) -> None:
    found = {}
    for name, splits in sets.items():
        digest = hashlib.sha256()
        for split in COUNTS:
            for inputs, target in splits[split][:40]:
                text = inputs if isinstance(inputs, str) else repr(inputs.tolist())
                digest.update(text.encode() + repr(target).encode())
        found[name] = digest.hexdigest()[:16]
    assert found == PINNED
    assert set(PINNED) == set(LONGEST) == set(SIZES)


def words(split: list[tuple[str, str]]) -> list[tuple[list[str], list[str]]]:
    return [(inputs.split(), target.split()) for inputs, target in split]


def last(word: list[str]) -> list[str]:
    """The symbols asked for at the end, of inputs that are a word and markers."""
    return [symbol for symbol in word if symbol != diagnostics.ANSWER]


def modular(text: list[str]) -> int:
    return eval("".join(text)) % 5


def listops(text: list[str]) -> int:
    """By rewriting the innermost list until a digit is left."""
    left = " ".join(text)
    rules: dict[str, Callable[[list[int]], int]] = {
        "MIN": min,
        "MAX": max,
        "MED": lambda x: int(statistics.median(x)),
        "SM": lambda x: sum(x) % 10,
    }
    reduce = lambda found: str(rules[found[1]]([int(n) for n in found[2].split()]))
    while "[" in left:
        left = re.sub(r"\[(\w+) ([\d ]+) \]", reduce, left)
    return int(left)


ANSWERS: dict[str, Callable[[list[str]], str]] = {
    "induction": lambda x: x[x.index("!") + 1],
    "parity": lambda x: ("even", "odd")[sum(map(int, x)) % 2],
    "even_pairs": lambda x: "even" if x[0] == x[-1] else "odd",
    "cycle_navigation": lambda x: str((x.count("forward") + 4 * x.count("backward")) % 5),
    "modular_arithmetic": lambda x: str(modular(x)),
    "listops": lambda x: str(listops(x)),
}
TRANSDUCED: dict[str, Callable[[list[str]], list[str]]] = {
    "copy": lambda x: x[:10],
    "selective_copy": lambda x: [s for s in last(x) if s != "_"],
    "reverse": lambda x: last(x)[::-1],
    "duplicate": lambda x: last(x) * 2,
    "bucket_sort": lambda x: sorted(last(x)),
}


def test_answers_follow_from_the_inputs(sets: Any) -> None:
    """By definitions other than those that made them."""
    for name, splits in sets.items():
        if name == "adding":
            for series, (total,) in itertools.chain(*splits.values()):
                half = len(series) // 2
                assert series[:half, 1].sum() == series[half:, 1].sum() == 1
                assert abs((series[:, 0] * series[:, 1]).sum(dtype=np.float64) - total) < 1e-6
            continue
        for inputs, target in itertools.chain(*map(words, splits.values())):
            if name in ANSWERS:
                assert ANSWERS[name](inputs) == target[0], (name, inputs)
                continue
            assert len(inputs) == len(target), name
            if name in TRANSDUCED:
                answer = TRANSDUCED[name](inputs)
                assert target[-len(answer) :] == answer, (name, inputs)
                blank = "_" if name == "copy" else NO_TARGET
                assert set(target[: -len(answer)]) == {blank}, name


def test_recall_asks_for_the_values_of_its_pairs(sets: Any) -> None:
    for inputs, target in itertools.chain(*map(words, sets["recall"].values())):
        pairs = dict(zip(inputs[:8:2], inputs[1:8:2], strict=True))
        asked = [place for place, tag in enumerate(target) if tag != NO_TARGET]
        assert len(pairs) == 4 and min(asked) >= 8
        assert sorted(inputs[place] for place in asked) == sorted(pairs)
        assert all(target[place] == pairs[inputs[place]] for place in asked)
        assert not set(pairs) & {x for place, x in enumerate(inputs[8:], 8) if place not in asked}


def test_dyck_words_close_what_they_open(sets: Any) -> None:
    for text, tags in itertools.chain(*map(words, sets["dyck"].values())):
        left, seen = "".join(text), ""
        for symbol, tag in zip(text, tags, strict=True):
            seen += symbol
            while (shorter := seen.replace("()", "").replace("[]", "")) != seen:
                seen = shorter
            assert tag == ({"(": ")", "[": "]"}[seen[-1]] if seen else "end"), left
            assert len(seen) <= 10
        assert not seen


def test_a5_is_a_group_whose_products_are_tagged(sets: Any) -> None:
    """Products are associative, so that halves of a word may be multiplied by themselves."""
    from seqmodels.data.datasets.diagnostics_state import _PRODUCTS

    table = np.array(_PRODUCTS)
    assert all(sorted(row) == list(range(60)) for row in (*table, *table.T))
    number = lambda name: int(name[1:])
    for text, tags in words(sets["a5_words"]["longer"]):
        product = number(text[-1])
        for name in reversed(text[:-1]):
            product = table[number(name), product]
        assert product == number(tags[-1])
    assert any((table != table.T).ravel())


def test_lengths_and_splits(sets: Any) -> None:
    """Held-out inputs are not in training; `longer` is longer; all fit the configs."""
    for name, splits in sets.items():
        lengths = {
            split: [len(x if name == "adding" else x.split()) for x, _ in rows]
            for split, rows in splits.items()
        }
        trained = max(map(max, (lengths[split] for split in COUNTS if split != "longer")))
        assert trained < min(lengths["longer"]), name
        assert max(lengths["longer"]) <= steps_of(name), name
        if name != "adding":
            texts = [{x for x, _ in splits[split]} for split in COUNTS]
            assert sum(map(len, texts)) == len(set().union(*texts)), name
    for split, (first, end) in diagnostics._HELD_OUT.items():
        shares = [diagnostics.hash_fraction(x) for x, _ in sets["parity"][split]]
        assert all(first <= share < end for share in shares), split


def test_a_size_is_another_data_set() -> None:
    small = open_set("copy:20")
    (text, _), *_ = small.examples("train", 1)
    assert len(text.split()) == 40
    assert small.fingerprint() != open_set("copy").fingerprint()
    assert small.chance()["loss"] == pytest.approx(10 * np.log(8) / 40)
    assert open_set("recall:8").lengths("train") == (128, 128)
    assert open_set("parity").chance() == {"model": "chance", "loss": np.log(2), "accuracy": 0.5}


def test_the_guess_of_adding_has_the_variance_of_the_sum() -> None:
    targets = np.array([target for _, (target,) in open_set("adding:4").examples("test", 2000)])
    assert abs(((targets - 1) ** 2).mean() - open_set("adding").chance()["loss"]) < 0.01
