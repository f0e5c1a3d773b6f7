"""Baselines of classification: each suits some features, which name it in their configs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Integer, Num

from seqmodels.data import order
from seqmodels.data.examples import ExampleSplit
from seqmodels.data.features.label import EncodedLabels
from seqmodels.data.features.sound import EncodedSounds
from seqmodels.data.features.tokens import EncodedTokens
from seqmodels.ops.log_mel import log_mel
from seqmodels.protocols import Trial
from seqmodels.tasks.class_scores import score_probabilities
from seqmodels.tasks.naive_bayes import TextBags, naive_bayes

MOST_ROWS, MOST_NUMBERS = 5_000, 1 << 25
"""Training examples that a logistic regression sees, and numbers in all of them together."""
_MOST_ITERATIONS = 200
_ROWS_AT_ONCE = 512
"""Of the distances between examples."""
_SOUNDS_AT_ONCE = 64


class Question(NamedTuple):
    """The examples that a baseline is given.

    Attributes:
      train, asked: the training split, and the one whose classes are asked for.
      labels, answers: their classes.
      num_classes: C.
    """

    train: ExampleSplit
    asked: ExampleSplit
    labels: Integer[np.ndarray, " n"]
    answers: Integer[np.ndarray, " q"]
    num_classes: int


def ask_baselines(trial: Trial) -> list[dict[str, Any]]:
    """Figures of the majority class, and of the baselines that suit the feature of the inputs.

    The majority class has the shares of the classes in the training split; every class counts one
    more than it occurs, so that none is impossible.
    """
    train, asked = (trial.data.splits[name] for name in ("train", trial.split))
    size = len(trial.features["targets"].names())
    question = Question(train, asked, labels_of(train), labels_of(asked), size)
    counts = np.bincount(question.labels, minlength=size) + 1
    shares = np.tile(np.log(counts / counts.sum()), (len(question.answers), 1))
    rows = [{"model": "majority class", **score_probabilities(shares, question.answers)}]
    for name in trial.features["inputs"].config.baselines:
        if name in BASELINES and (found := BASELINES[name](question)) is not None:
            rows.append(found)
    return rows


def labels_of(split: ExampleSplit) -> np.ndarray:
    """The classes of the examples of a split that are used."""
    column = split.columns["targets"]
    assert isinstance(column, EncodedLabels)
    return column.numbers[split.kept]


def bags(split: ExampleSplit) -> TextBags:
    """The tokens of the texts of a split that are used."""
    column = split.columns["inputs"]
    assert isinstance(column, EncodedTokens)
    return TextBags(*column.joined(split.kept), len(split.kept))


def ask_naive_bayes(question: Question) -> dict[str, Any]:
    """Naive Bayes over tokens and their neighbours."""
    known, other = (bags(one) for one in (question.train, question.asked))
    guesses = naive_bayes(known, question.labels, other, question.num_classes)
    return {"model": "naive Bayes of bigrams", **score_probabilities(guesses, question.answers)}


def ask_position_weights(question: Question) -> dict[str, Any] | None:
    """A position weight matrix; None where texts differ in length."""
    found = [aligned(split) for split in (question.train, question.asked)]
    known, other = found
    if known is None or other is None or known.shape[1] != other.shape[1]:
        return None
    guesses = weigh_positions(known, question.labels, other, question.num_classes)
    return {"model": "position weight matrix", **score_probabilities(guesses, question.answers)}


def aligned(split: ExampleSplit) -> Int[np.ndarray, "n T"] | None:
    """The texts of a split as rows of tokens; None where they differ in length."""
    tokens, owners, count = bags(split)
    lengths = np.bincount(owners, minlength=count)
    if len(np.unique(lengths)) != 1:
        return None
    return tokens.reshape(count, -1).astype(np.int64)


def weigh_positions(
    train: Int[np.ndarray, "n T"],
    labels: Integer[np.ndarray, " n"],
    asked: Int[np.ndarray, "q T"],
    num_classes: int,
) -> Float[np.ndarray, "q C"]:
    """Log probabilities of the classes of sequences of one length.

        p(c | x) ~ p(c) prod_t p(x_t | c, t)
        p(a | c, t) = (1 + sequences of class c with a at t) / (V + sequences of class c)

    p(c) are the shares of the classes, each counted once more than it occurs. V is the number of
    different tokens in both splits. Source: Stormo et al., 1982, "Use of the Perceptron algorithm
    to distinguish translational initiation sites in E. coli", for the matrix of weights.
    """
    from scipy.special import log_softmax

    size, places = int(max(train.max(), asked.max())) + 1, np.arange(train.shape[1])
    counts = np.zeros((num_classes, train.shape[1], size))
    np.add.at(counts, (labels[:, None], places[None], train), 1)
    used = len(np.union1d(train, asked))
    sizes = np.bincount(labels, minlength=num_classes)
    scores = np.log(1 + counts) - np.log(used + sizes)[:, None, None]
    priors = np.log(1 + sizes)
    total = priors[:, None] + np.stack([one[places, asked].sum(axis=1) for one in scores])
    return log_softmax(total, axis=0).T


def ask_nearest_neighbour(question: Question) -> dict[str, Any] | None:
    """The class of the nearest training series by Euclid's distance; None where lengths differ."""
    known, other = (flat(split) for split in (question.train, question.asked))
    if known is None or other is None or known.shape[1] != other.shape[1]:
        return None
    from scipy.spatial.distance import cdist

    parts = np.array_split(other, -(-len(other) // _ROWS_AT_ONCE))
    nearest = np.concatenate([cdist(part, known).argmin(axis=1) for part in parts])
    return {"model": "nearest neighbour", **score_choices(question.labels[nearest], question)}


def score_choices(classes: Integer[np.ndarray, " q"], question: Question) -> dict[str, Any]:
    """Figures of classes without probabilities, and so without a loss and a calibration error."""
    sure = np.log(np.eye(question.num_classes)[classes] + 1e-9)
    figures = score_probabilities(sure, question.answers)
    del figures["loss"], figures["calibration_error"]
    return figures


def flat(split: ExampleSplit, rows: np.ndarray | None = None) -> Num[np.ndarray, "n D"] | None:
    """The inputs of a split as one vector per example; None where they differ in length.

    Args:
      rows: which of the examples that are used; None = all of them.
    """
    column = split.columns["inputs"]
    kept = split.kept if rows is None else split.kept[rows]
    width = None
    if column.lengths is not None:
        if len(np.unique(column.lengths[split.kept])) != 1:
            return None
        width = int(column.lengths[split.kept[0]])
    return column.part(kept, width).values.reshape(len(kept), -1)


def ask_logistic_regression(question: Question) -> dict[str, Any] | None:
    """Multinomial logistic regression over all numbers of an input, such as its pixels.

    With an L2 penalty of 1 / 2 |w|^2 on the sum of the losses (scikit-learn's default). It sees
    MOST_ROWS training examples at most, and fewer of large inputs; num_trained says how many.
    Probabilities count each class once more, so that none is impossible: (n p + 1) / (n + C).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    one = flat(question.train, np.arange(1))
    assert one is not None
    count = len(question.labels)
    most = min(count, MOST_ROWS, max(1, MOST_NUMBERS // one.size))
    rows = np.sort(order.permutation(0, "rows of a baseline", 0, count)[:most])
    known, other, labels = flat(question.train, rows), flat(question.asked), question.labels[rows]
    if len(np.unique(labels)) < 2:
        return None
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        fitted = LogisticRegression(max_iter=_MOST_ITERATIONS).fit(known, labels)
    chances = np.zeros((len(question.answers), question.num_classes))
    chances[:, fitted.classes_] = fitted.predict_proba(other)
    chances = (most * chances + 1) / (most + question.num_classes)
    figures = score_probabilities(np.log(chances), question.answers)
    return {"model": "logistic regression", **figures, "num_trained": most}


def ask_nearest_mean_spectrum(question: Question) -> dict[str, Any]:
    """The class whose sounds have the nearest mean spectrum, by Euclid's distance.

    The spectrum of a sound is the mean of the log-mel energies of its frames, that of a class the
    mean over its training sounds.
    """
    from scipy.spatial.distance import cdist

    known, other = (mean_spectra(split) for split in (question.train, question.asked))
    found = np.unique(question.labels)
    centres = np.stack([known[question.labels == label].mean(axis=0) for label in found])
    nearest = found[cdist(other, centres).argmin(axis=1)]
    return {"model": "nearest mean spectrum", **score_choices(nearest, question)}


def mean_spectra(split: ExampleSplit) -> Float[np.ndarray, "n M"]:
    """The mean of the log-mel energies of the frames of each sound of a split."""
    column = split.columns["inputs"]
    assert isinstance(column, EncodedSounds)
    assert column.lengths is not None
    sound, width = column.feature.input, int(column.lengths[split.kept].max())
    measure = jax.jit(lambda frames: log_mel(frames, sound.sample_rate, sound.num_bands))
    found = []
    for rows in order.deal(split.kept, min(_SOUNDS_AT_ONCE, len(split.kept))):
        part = column.part(rows, width)
        assert part.segment_ids is not None
        real = (part.segment_ids > 0)[..., None]
        sums = np.where(real, np.asarray(measure(jnp.asarray(part.values)), float), 0).sum(axis=1)
        found.append((sums / np.maximum(real.sum(axis=1), 1))[rows >= 0])
    return np.concatenate(found)


BASELINES: dict[str, Callable[[Question], dict[str, Any] | None]] = {
    "naive_bayes": ask_naive_bayes,
    "position_weights": ask_position_weights,
    "nearest_neighbour": ask_nearest_neighbour,
    "logistic_regression": ask_logistic_regression,
    "nearest_mean_spectrum": ask_nearest_mean_spectrum,
}
"""By the names in `FeatureConfig.baselines`; None where the examples do not suit one."""
