"""Rows of the harness's tasks in `harness_tasks`: published files on this machine, or rules.

Published files are those of $SEQMODELS_DATA_DIR/data, else those that `prepare` has downloaded, as
for a config with that `data.name`; a task's `dataset_kwargs` may name another folder. Nothing is
asked of a network.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from seqmodels import registry
from seqmodels.config.data import ExamplesDataConfig
from seqmodels.data.datasets.wikitext2 import WIKITEXT2, cut_articles
from seqmodels.data.store import cache_directory

_SPLITS = {"training": "train", "validation": "validation", "test": "test"}
_NUM_SHOTS, _NUM_ROWS = 64, 500
_SEED = 20_080_612  # of rows made by rule


def _tables(**splits: list[dict[str, Any]]) -> dict[str, Any]:
    import datasets  # pyright: ignore[reportMissingImports]  # comes with lm-eval

    return {name: datasets.Dataset.from_list(rows) for name, rows in splits.items()}


def wikitext2(folder: str | None = None, **_: Any) -> dict[str, Any]:
    """Articles of WikiText-2. Columns: page."""
    contents = WIKITEXT2.read(WIKITEXT2.find(folder, cache_directory(ExamplesDataConfig())))
    articles = cut_articles(contents)
    return _tables(**{name: [{"page": page} for page in articles[name]] for name in articles})


def last_words(folder: str | None = None, **_: Any) -> dict[str, Any]:
    """Paragraphs of WikiText-2 whose last word occurred before. Columns: passage, word."""
    from lm_eval.tasks.wikitext.preprocess_wikitext import (  # pyright: ignore[reportMissingImports]
        wikitext_detokenizer,
    )

    contents = WIKITEXT2.read(WIKITEXT2.find(folder, cache_directory(ExamplesDataConfig())))
    found: dict[str, list[dict[str, str]]] = {}
    for split, articles in cut_articles(contents).items():
        lines = itertools.chain.from_iterable(page.split("\n") for page in articles)
        texts = (wikitext_detokenizer({"page": line}).strip() for line in lines)
        found[split] = list(passages(texts))
    return _tables(**found)


def passages(texts: Iterator[str]) -> Iterator[dict[str, str]]:
    """Cuts the last word off paragraphs of 40 to 200 words.

    The word has four letters or more, ends the paragraph before a full stop, and is one of the
    words before it, so that a model may know it from the passage.
    """
    for text in texts:
        passage, _, word = text.removesuffix(".").rstrip().rpartition(" ")
        before = passage.split()
        fits = 40 <= len(before) + 1 <= 200 and word.isalpha() and len(word) >= 4
        if text.endswith(".") and fits and word in before:
            yield {"passage": passage, "word": word}


def sst2(folder: str | None = None, **_: Any) -> dict[str, Any]:
    """Sentences of SST-2. Columns: text, label (0 negative, 1 positive)."""
    return _sentences("sst2", folder)


def rotten_tomatoes(folder: str | None = None, fold: int = 0, **_: Any) -> dict[str, Any]:
    """Sentences of MR. Columns: text, label (0 negative, 1 positive)."""
    return _sentences("rotten_tomatoes", folder, fold=fold)


def _sentences(name: str, folder: str | None, **more: Any) -> dict[str, Any]:
    config = ExamplesDataConfig(name=name, path=folder, **more)
    dataset = registry.resolve(registry.DATASETS[name].implementation).open(config)
    classes = list(dataset.classes("label"))
    rows = {
        split: [
            {"text": text, "label": classes.index(label)}
            for text, label in zip(columns["text"], columns["label"], strict=True)
        ]
        for split, columns in dataset.splits().items()
    }
    return _tables(**rows)


def arithmetic(num_digits: int = 2, **_: Any) -> dict[str, Any]:
    """Sums and differences of two numbers, by rule. Columns: question, answer."""
    rng = np.random.Generator(np.random.Philox(_SEED))
    numbers = rng.integers(0, 10**num_digits, size=(_NUM_SHOTS + _NUM_ROWS, 2)).tolist()
    rows = []
    for (a, b), minus in zip(numbers, rng.integers(0, 2, len(numbers)).tolist(), strict=True):
        a, b = (max(a, b), min(a, b)) if minus else (a, b)
        answer = str(a - b if minus else a + b)
        rows.append({"question": f"{a} {'-' if minus else '+'} {b} =", "answer": answer})
    return _tables(train=rows[:_NUM_SHOTS], test=rows[_NUM_SHOTS:])


_NOUNS = ("author", "doctor", "farmer", "painter", "pilot", "singer", "teacher", "worker")
_THINGS = ("book", "bridge", "cabinet", "garden", "house", "picture", "river", "table")
_PLACES = ("near", "above", "next to", "in front of")
_VERBS = (("is", "are"), ("was", "were"), ("has", "have"), ("does", "do"))
_REST = {"is": "old", "was": "old", "has": "a name", "does": "not move"}


def minimal_pairs(**_: Any) -> dict[str, Any]:
    """Sentences whose verb agrees with the subject or with a noun between. Columns: good, bad.

    "The author near the tables is old." against "The author near the tables are old."
    """
    made = itertools.product(_NOUNS, _PLACES, _THINGS, _VERBS, (False, True))
    rows = []
    for noun, place, thing, (one, many), plural in made:
        subject, other = (f"{noun}s", thing) if plural else (noun, f"{thing}s")
        right, wrong = (many, one) if plural else (one, many)
        begin, rest = f"The {subject} {place} the {other}", _REST[one]
        rows.append({"good": f"{begin} {right} {rest}.", "bad": f"{begin} {wrong} {rest}."})
    order = np.random.Generator(np.random.Philox(_SEED)).permutation(len(rows))[:_NUM_ROWS]
    return _tables(test=[rows[i] for i in order.tolist()])


def exact_answer(row: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Whether the number that was written is the answer."""
    return {"exact_match": float(results[0].strip() == row["answer"])}
