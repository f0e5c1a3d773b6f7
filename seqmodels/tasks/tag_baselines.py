"""Baselines of tagging: each suits some features, which name it in their configs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Integer

from seqmodels.data.examples import ExampleSplit
from seqmodels.data.features.tags import IGNORED
from seqmodels.data.features.tokens import EncodedTokens
from seqmodels.protocols import Trial

REACH = 6
"""Tokens on each side that a window of counts sees: 13 in all (Qian and Sejnowski, 1988)."""


class Labelled(NamedTuple):
    """The sequences of a split, joined.

    Attributes:
      tokens, labels: of all steps; a label may be IGNORED.
      owners: the number of the sequence of each step.
    """

    tokens: Integer[np.ndarray, " n"]
    owners: Integer[np.ndarray, " n"]
    labels: Integer[np.ndarray, " n"]


def ask_baselines(trial: Trial) -> list[dict[str, Any]]:
    """Figures of the frequencies of the labels, and of what suits the feature of the inputs.

    Every label counts one more than it occurs in the training split, so that none is impossible.
    """
    train, asked = (trial.data.splits[name] for name in ("train", trial.split))
    size = len(trial.features["targets"].names())
    labels, answers = (one.columns["targets"].content(one.kept)[0] for one in (train, asked))
    counts = np.bincount(labels[labels != IGNORED], minlength=size) + 1
    counted = answers != IGNORED
    shares = np.tile(np.log(counts / counts.sum()), (int(counted.sum()), 1))
    rows = [{"model": "majority label", **score_labels(shares, answers[counted])}]
    names = [name for name in trial.features["inputs"].config.baselines if name in BASELINES]
    if names and "inputs" in train.columns:
        known, other = join(train, labels), join(asked, answers)
        for name in names:
            title, guess = BASELINES[name]
            guesses = guess(known, other, size)[counted]
            rows.append({"model": title, **score_labels(guesses, answers[counted])})
    return rows


def join(split: ExampleSplit, labels: np.ndarray) -> Labelled:
    """The tokens and labels of a split."""
    column = split.columns["inputs"]
    assert isinstance(column, EncodedTokens)
    return Labelled(*column.joined(split.kept), labels)


def score_labels(
    log_probabilities: Float[np.ndarray, "n C"], labels: Integer[np.ndarray, " n"]
) -> dict[str, float]:
    """Loss (nats per label) and accuracy."""
    nats = -log_probabilities[np.arange(len(labels)), labels]
    hits = log_probabilities.argmax(axis=1) == labels
    return {"loss": float(nats.mean()), "accuracy": float(hits.mean())}


def guess_by_token(train: Labelled, asked: Labelled, num_labels: int) -> Float[np.ndarray, "n C"]:
    """p(label | token) = (1 + times that the token has the label) / (C + times of the token)."""
    size = int(max(train.tokens.max(), asked.tokens.max())) + 1
    counts = np.ones((size, num_labels))
    there = train.labels != IGNORED
    np.add.at(counts, (train.tokens[there], train.labels[there]), 1)
    return np.log(counts / counts.sum(axis=1, keepdims=True))[asked.tokens]


def guess_by_window(train: Labelled, asked: Labelled, num_labels: int) -> Float[np.ndarray, "n C"]:
    """Log probabilities of the labels, of the tokens around each step.

        p(c | x, t) ~ p(c) prod_{d = -6 .. 6} p(x_{t+d} | c, d)
        p(a | c, d) = (1 + steps with label c and a at distance d) / (V + 1 + steps with label c)

    Beyond the ends of a sequence there is one more token. Source: Robson and Pain, 1971, whose
    directional information is the logarithm of these ratios, without their approximations.
    """
    from scipy.special import log_softmax

    size = int(max(train.tokens.max(), asked.tokens.max())) + 1
    there = train.labels != IGNORED
    labels = train.labels[there]
    known, other = around(train, size)[there], around(asked, size)  # [n, 2 REACH + 1]
    sizes = np.bincount(labels, minlength=num_labels)
    total = np.tile(np.log(1.0 + sizes), (len(other), 1))
    for place in range(2 * REACH + 1):
        counts = np.ones((size + 1, num_labels))
        np.add.at(counts, (known[:, place], labels), 1)
        total += np.log(counts / counts.sum(axis=0))[other[:, place]]
    return log_softmax(total, axis=1)


def around(steps: Labelled, outside: int) -> Int[np.ndarray, "n W"]:
    """The tokens at distance -REACH .. REACH of each step; `outside` beyond its sequence."""
    count = len(steps.tokens)
    window = np.full((count, 2 * REACH + 1), outside, np.int64)
    for place, distance in enumerate(range(-REACH, REACH + 1)):
        at = np.arange(count) + distance
        inside = (at >= 0) & (at < count)
        inside[inside] = steps.owners[at[inside]] == steps.owners[inside]
        window[inside, place] = steps.tokens[at[inside]]
    return window


Guess = Callable[[Labelled, Labelled, int], np.ndarray]
BASELINES: dict[str, tuple[str, Guess]] = {
    "majority_of_token": ("majority label of a token", guess_by_token),
    "window": (f"counts in a window of {2 * REACH + 1}", guess_by_window),
}
"""By the names in `FeatureConfig.baselines`."""
