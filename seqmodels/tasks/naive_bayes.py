"""Multinomial naive Bayes over tokens and their neighbours: the baseline of text classifiers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Integer


class TextBags(NamedTuple):
    """Texts as bags of tokens.

    Attributes:
      tokens: of all texts, joined.
      owners: the number of the text of each token.
      count: how many texts there are.
    """

    tokens: Integer[np.ndarray, " m"]
    owners: Integer[np.ndarray, " m"]
    count: int


def naive_bayes(
    train: TextBags, labels: Integer[np.ndarray, " n"], asked: TextBags, num_classes: int
) -> Float[np.ndarray, "q C"]:
    """Log probabilities of the classes of the texts `asked`; float64.

        p(c | text) ~ p(c) prod_f p(f | c)
        p(f | c) = (1 + texts of class c with f) / sum_g (1 + texts of class c with g)

    Features f are the single tokens and the pairs of neighbours that occur in the training split;
    of a text each counts once (binarised), others do not count. p(c) are the shares of the classes
    of the training split, each counted once more than it occurs.

    Args:
      train, labels: the training texts and their classes.

    Source: Wang and Manning, 2012, "Baselines and bigrams", MNB with Laplace smoothing of 1.
    """
    from scipy.special import log_softmax

    known, owners = _features(train)
    known, feature = np.unique(known, return_inverse=True)
    place = labels[owners] * len(known) + feature
    counts = 1.0 + np.bincount(place, minlength=num_classes * len(known))
    counts = counts.reshape(num_classes, len(known))
    scores = np.log(counts) - np.log(counts.sum(axis=1, keepdims=True))  # [C, F]
    features, owners = _features(asked)
    at = np.searchsorted(known, features)
    found = known[np.minimum(at, len(known) - 1)] == features
    at, owners = at[found], owners[found]
    priors = np.log(1.0 + np.bincount(labels, minlength=num_classes))
    total = priors[:, None] + np.stack(
        [np.bincount(owners, scores[c, at], minlength=asked.count) for c in range(num_classes)]
    )  # of nothing numpy counts in whole numbers
    return log_softmax(total, axis=0).T


def _features(
    texts: TextBags,
) -> tuple[Int[np.ndarray, " f"], Int[np.ndarray, " f"]]:
    """The distinct features of each text as numbers, and the number of the text of each.

    A token t is t, the neighbours s t are (s + 1) 2^31 + t.
    """
    tokens, owners = texts.tokens.astype(np.int64), texts.owners
    inside = owners[1:] == owners[:-1]
    pairs = ((tokens[:-1] + 1) << 31) + tokens[1:]
    features = np.concatenate([tokens, pairs[inside]])
    owners = np.concatenate([owners, owners[1:][inside]])
    by_text = np.lexsort((features, owners))
    features, owners = features[by_text], owners[by_text]
    new = np.ones(len(features), bool)
    new[1:] = (features[1:] != features[:-1]) | (owners[1:] != owners[:-1])
    return features[new], owners[new]
