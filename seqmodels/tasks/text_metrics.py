"""How texts compare with those that are wanted, and what needs no training to write them."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Integer

from seqmodels.config.training import EvaluationConfig


def score_texts(
    found: Sequence[str], wanted: Sequence[str], config: EvaluationConfig
) -> dict[str, Any]:
    """Compares texts with one reference each, over the whole corpus.

    Returns:
      bleu and chrf from 0 to 100 (sacrebleu; Papineni et al., 2002; Popovic, 2015), exact_match
      (share of equal texts), and the signatures that say how the first two were counted. bleu is
      None where no text that is wanted has four words, the most that it counts in a row: it would
      be 0 whatever was found.
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    # Forced: it warns where texts look cut into words, on a logger of its own.
    tokenize = config.bleu_tokenizer.sacrebleu_name
    bleu = BLEU(lowercase=config.lowercase, tokenize=tokenize, force=True)
    chrf = CHRF(lowercase=config.lowercase)
    score = bleu.corpus_score(found, [wanted]).score
    alike = str.lower if config.lowercase else str
    has_four = any(len(bleu.tokenizer(text).split()) >= bleu.max_ngram_order for text in wanted)
    equal = sum(alike(f) == alike(w) for f, w in zip(found, wanted, strict=True))
    return {
        "bleu": score if has_four else None,
        "chrf": chrf.corpus_score(found, [wanted]).score,
        "exact_match": equal / len(wanted),
        "bleu_signature": str(bleu.get_signature()),
        "chrf_signature": str(chrf.get_signature()),
    }


def score_by_length(
    found: Sequence[str],
    wanted: Sequence[str],
    lengths: Integer[np.ndarray, " N"],
    config: EvaluationConfig,
    num_parts: int = 4,
) -> list[dict[str, Any]]:
    """Scores texts in parts of about as many, by the length of what they were made from.

    Texts of one length are in one part, so that there may be fewer parts.

    Returns:
      Of each part shortest, longest, num_pairs, bleu and exact_match.
    """
    edges = np.quantile(lengths, np.arange(1, num_parts) / num_parts, method="lower")
    part = np.searchsorted(np.unique(edges), lengths, side="left")
    rows = []
    for number in np.unique(part):
        chosen = np.flatnonzero(part == number).tolist()
        scores = score_texts([found[i] for i in chosen], [wanted[i] for i in chosen], config)
        rows.append(
            {
                "shortest": int(lengths[chosen].min()),
                "longest": int(lengths[chosen].max()),
                "num_pairs": len(chosen),
                "bleu": scores["bleu"],
                "exact_match": scores["exact_match"],
            }
        )
    return rows


class WordByWord:
    """Writes for each word of a source the one that stood most often at its place in a target.

    Words are what stands between white space. The place of word i of S in a target of T words is

        i (T - 1) / (S - 1), rounded; the first for S = 1

    A word that no source has stays as it is; of equally frequent ones the first that was seen is
    written.

    Args:
      sources, targets: of the training split.
    """

    def __init__(self, sources: Sequence[str], targets: Sequence[str]) -> None:
        counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        for source, target in zip(sources, targets, strict=True):
            words, others = source.split(), target.split()
            last = max(len(words) - 1, 1)
            for number, word in enumerate(words):
                # Whole numbers, so that halves are rounded alike everywhere: up.
                place = (2 * number * (len(others) - 1) + last) // (2 * last)
                counts[word][others[place]] += 1
        self._best = {word: found.most_common(1)[0][0] for word, found in counts.items()}

    def __call__(self, source: str) -> str:
        """Writes a target."""
        return " ".join(self._best.get(word, word) for word in source.split())
