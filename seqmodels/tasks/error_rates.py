"""Error rates of transcripts, by edit distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def error_rates(found: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """Compares texts with one reference each, over the whole corpus.

        rate = sum of edit distances / sum of the lengths of the references

    Returns:
      character_error_rate, word_error_rate (words are between white space) and exact_match (the
      share of equal texts). A rate may be above 1.
    """
    pairs = list(zip(found, wanted, strict=True))
    rates = {}
    for name, cut in (("character_error_rate", list), ("word_error_rate", str.split)):
        edits = sum(edit_distance(cut(one), cut(other)) for one, other in pairs)
        rates[name] = edits / max(1, sum(len(cut(text)) for text in wanted))
    return {**rates, "exact_match": sum(one == other for one, other in pairs) / len(pairs)}


def edit_distance(one: Sequence[Any], other: Sequence[Any]) -> int:
    """The fewest insertions, deletions and replacements that turn one sequence into the other.

        d_ij = min(d_i-1,j + 1, d_i,j-1 + 1, d_i-1,j-1 + [one_i != other_j])

    Source: Wagner and Fischer, 1974, "The string-to-string correction problem".
    """
    places = np.arange(len(other) + 1)
    row = places.copy()
    for number, symbol in enumerate(one, 1):
        differs = np.array([symbol != x for x in other], int)
        above = np.concatenate([[number], np.minimum(row[1:] + 1, row[:-1] + differs)])
        row = np.minimum.accumulate(above - places) + places  # insertions, from left to right
    return int(row[-1])
