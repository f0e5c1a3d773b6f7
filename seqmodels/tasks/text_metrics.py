"""Metrics that compare texts with references, and a baseline that translates word by word."""

from __future__ import annotations

import collections
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Integer

from seqmodels.config.errors import UserError
from seqmodels.config.training import EvaluationConfig

_log = logging.getLogger(__name__)
_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)
"""Thai, Lao, Tibetan, Burmese, Khmer; kana and Chinese characters."""
_LONGEST_MEAN = 8
"""Characters of such a script between two spaces, in the mean: words apart have fewer."""


def make_bleu(config: EvaluationConfig) -> Any:
    """sacrebleu's BLEU with the tokenizer and the case of `config`.

    Raises:
      UserError: the tokenizer cannot be had: a package is missing, or its model.
    """
    from sacrebleu.metrics.bleu import BLEU

    config.bleu_tokenizer.check()
    tokenize = config.bleu_tokenizer.sacrebleu_name
    try:
        # force=True because sacrebleu warns, on its own logger, about texts that look tokenised.
        return BLEU(lowercase=config.lowercase, tokenize=tokenize, force=True)
    except (Exception, SystemExit) as error:  # of MeCab, of SentencePiece or of a download
        reason = " ".join(str(error).split())
        raise UserError(f"evaluation.bleu_tokenizer={config.bleu_tokenizer}: {reason}") from None


def warn_of_missing_spaces(wanted: Sequence[str], config: EvaluationConfig) -> None:
    """Says where BLEU would take whole sentences for words, because their script has no spaces."""
    if not config.bleu_tokenizer.needs_spaces:
        return
    text = " ".join(wanted)
    count, words = len(_WITHOUT_SPACES.findall(text)), len(text.split())
    letters = sum(map(str.isalpha, text))
    if 2 * count > letters and count > _LONGEST_MEAN * words:
        _log.warning(
            "evaluation.bleu_tokenizer=%s: looks for words between spaces, which the targets do "
            "not have; zh, ja-mecab, flores200 or char split them",
            config.bleu_tokenizer,
        )


def score_texts(
    found: Sequence[str], wanted: Sequence[str], config: EvaluationConfig
) -> dict[str, Any]:
    """Compares texts with one reference each, over the whole corpus.

    Returns:
      bleu and chrf from 0 to 100 (sacrebleu; Papineni et al., 2002; Popovic, 2015), exact_match
      (share of equal texts), and sacrebleu's signatures of the first two. bleu is None if no
      reference has at least four words: without 4-grams it would always be 0.
    """
    from sacrebleu.metrics.chrf import CHRF

    bleu = make_bleu(config)
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
    """Scores texts in parts of similar size, by the length of their sources.

    Texts of equal source length are in the same part, so there may be fewer parts.

    Returns:
      For each part: shortest, longest, num_pairs, bleu and exact_match.
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


def score_word_classes(
    found: Sequence[str], wanted: Sequence[str], classes: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """Compares the words of each class alone.

    Args:
      classes: name -> words.

    Returns:
      For each class: words (its name), and accuracy: the share of texts with the same words of the
      class as their reference, in the same order.
    """
    rows = []
    for name, words in classes.items():
        chosen = frozenset(words)
        kept = ([[w for w in t.split() if w in chosen] for t in side] for side in (found, wanted))
        equal = sum(a == b for a, b in zip(*kept, strict=True))
        rows.append({"words": name, "accuracy": equal / len(wanted)})
    return rows


class WordByWord:
    """Replaces each word of a source by the most frequent target word at the same place.

    Words are separated by white space. The place of word i of S in a target of T words is

        i (T - 1) / (S - 1), rounded; the first for S = 1

    A word that no training source contains is kept. Among equally frequent target words the one
    seen first is used.

    Args:
      sources, targets: texts of the training split.
    """

    def __init__(self, sources: Sequence[str], targets: Sequence[str]) -> None:
        counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        for source, target in zip(sources, targets, strict=True):
            words, others = source.split(), target.split()
            last = max(len(words) - 1, 1)
            for number, word in enumerate(words):
                # In integer arithmetic, so that halves are always rounded up.
                place = (2 * number * (len(others) - 1) + last) // (2 * last)
                counts[word][others[place]] += 1
        self._best = {word: found.most_common(1)[0][0] for word, found in counts.items()}

    def __call__(self, source: str) -> str:
        """Translates a source."""
        return " ".join(self._best.get(word, word) for word in source.split())
