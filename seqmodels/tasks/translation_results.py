"""Translations: their baselines, and their tables."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import Any

from seqmodels.config.training import EvaluationConfig
from seqmodels.tasks.text_metrics import WordByWord, score_texts


def answer_of_texts(train: tuple[list[str], list[str]], sources: list[str]) -> dict[str, list[str]]:
    """Baseline -> its translations, where sources are texts."""
    by_word = WordByWord(*train)
    name = "word by word, the most frequent"
    return {"copy": sources, name: [by_word(source) for source in sources]}


def answer_alike(train: list[str], count: int) -> dict[str, list[str]]:
    """Model -> its translations: the most frequent target of the training split, for all sources;
    of several the first."""
    (best, _), *_ = collections.Counter(train).most_common(1)
    return {"most frequent target": [best] * count}


def score_baselines(
    answers: Mapping[str, list[str]], targets: list[str], config: EvaluationConfig
) -> list[dict[str, Any]]:
    """Scores the baselines: model, bleu, chrf and exact_match of each."""
    names = ("bleu", "chrf", "exact_match")
    rows = []
    for name, found in answers.items():
        scores = score_texts(found, targets, config)
        rows.append({"model": name, **{n: scores[n] for n in names}})
    return rows


def translation_tables(result: dict[str, Any]) -> list[Any]:
    """Translations next to the baselines, by the length of the source, and by classes of words."""
    from rich.table import Table

    scores = Table("", "BLEU", "chrF", "exact match", title="translations")
    for row in (*result.get("translation_baselines", ()), {**result, "model": "this run"}):
        shown = (_bleu(row), f"{row['chrf']:.2f}", f"{row['exact_match']:.4f}")
        scores.add_row(row["model"], *shown)
    tables = [scores]
    if "by_source_length" in result:
        lengths = Table("source tokens", "pairs", "BLEU", "exact match", title="by source length")
        for row in result["by_source_length"]:
            shown = (f"{row['num_pairs']:,}", _bleu(row), f"{row['exact_match']:.4f}")
            lengths.add_row(f"{row['shortest']} to {row['longest']}", *shown)
        tables.append(lengths)
    if "by_word_class" in result:
        classes = Table("words", "accuracy", title="by class of words")
        for row in result["by_word_class"]:
            classes.add_row(row["words"], f"{row['accuracy']:.4f}")
        tables.append(classes)
    for table in tables:
        for column in table.columns[1:]:
            column.justify = "right"
    note = f"{result['bleu_signature']}; beam {result['beam_size']}"
    if result["bleu"] is None:
        note = f"no BLEU, which counts four words in a row: no target has so many; {note}"
    return [*tables, note]


def _bleu(row: dict[str, Any]) -> str:
    return "-" if row["bleu"] is None else f"{row['bleu']:.2f}"
