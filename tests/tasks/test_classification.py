"""One class an example: loss, which features count, the baseline; by hand."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.features import ImageConfig, LabelConfig, TokensConfig
from seqmodels.config.tasks import ClassificationConfig
from seqmodels.data.examples import ExampleSplit
from seqmodels.data.features.image import Image
from seqmodels.data.features.label import EncodedLabels, Label
from seqmodels.data.features.tokens import EncodedTokens, Tokens
from seqmodels.data.token_store import TokenSplit
from seqmodels.data.tokenizers import ByteTokenizer
from seqmodels.tasks.class_scores import count_outcomes, summarize_outcomes
from seqmodels.tasks.classification import Classification, bags, labels_of, last_valid
from seqmodels.tasks.naive_bayes import naive_bayes
from seqmodels.types import Batch, ClassOutput, DataSpec, ImageInput
from tests.tasks.stand_in import StandIn, trial
from tests.tolerances import TOLERANCE

LABELS = {
    "inputs": Image(ImageConfig(), ImageInput(4, 6, 2)),
    "targets": Label(LabelConfig(), ("a", "b", "c")),
}
TASK = Classification(ClassificationConfig())
LOGITS = np.array([[2.0, 0.5, -1.0], [0.0, 3.0, 1.0], [np.nan] * 3, [1.0, 1.5, 1.0]], np.float32)
CLASSES = np.array([0, 2, 0, 1], np.int32)
WEIGHTS = np.array([1, 1, 0, 1], np.float32)


class Model(StandIn):
    """Puts out its inputs; of sequences, as they are."""

    def apply(self, variables: Any, x: Any, *_: Any, method: str = "", **__: Any) -> Any:
        return x if method == "readout" else (x, None)


def forward(task: Classification, batch: Batch, train: bool = False) -> Any:
    key = jax.random.key(0) if train else None
    run = jax.jit(lambda batch, key: task.forward(Model(), {}, batch, None, train=train, key=key))
    return run(jax.tree.map(np.asarray, batch), key)


def nats(smoothing: float = 0.0) -> float:
    """Of the three that count."""
    logits, classes = LOGITS[[0, 1, 3]].astype(np.float64), CLASSES[[0, 1, 3]]
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    wanted = (1 - smoothing) * np.eye(3)[classes] + smoothing / 3
    return float(-(wanted * log_p).sum())


def test_spec() -> None:
    assert TASK.make_spec(LABELS) == DataSpec(ImageInput(4, 6, 2), ClassOutput(3, per_step=False))


def test_loss_and_accuracy_count_each_example_once() -> None:
    loss, weight, metrics, carry = forward(TASK, Batch(LOGITS, CLASSES, WEIGHTS))
    assert carry is None and weight == 3
    np.testing.assert_allclose(loss, nats(), **TOLERANCE["rounding"])
    assert metrics.keys() > set(TASK.metric_names)
    assert forward(TASK, Batch(LOGITS, CLASSES, WEIGHTS), train=True)[2].keys() == {
        *TASK.metric_names
    }
    assert [float(x) for x in metrics["accuracy"]] == [2.0, 3.0]
    sums = {name: tuple(np.asarray(pair).tolist()) for name, pair in metrics.items()}
    found = TASK.summarize(sums, None)
    assert found["loss"] == sums["loss"][0] / 3 and found["accuracy"] == 2 / 3
    assert found["num_targets"] == 3 and "f1_binary" not in found


def test_label_smoothing_is_of_training_only() -> None:
    task = Classification(ClassificationConfig(label_smoothing=0.3))
    batch = Batch(LOGITS, CLASSES, WEIGHTS)
    loss, _, metrics, _ = forward(task, batch, train=True)
    np.testing.assert_allclose(loss, nats(0.3), **TOLERANCE["rounding"])
    np.testing.assert_allclose(metrics["loss"][0], nats(), **TOLERANCE["rounding"])
    np.testing.assert_allclose(forward(task, batch)[0], nats(), **TOLERANCE["rounding"])


@pytest.mark.parametrize("ids", [None, [[1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [0, 0, 0, 0, 0]]])
def test_of_a_sequence_the_last_position_without_padding_counts(ids: Any) -> None:
    features = np.random.default_rng(0).normal(size=(3, 5, 3)).astype(np.float32)
    segments = None if ids is None else np.array(ids, np.int32)
    expected = features[np.arange(3), np.array([4, 4, 4] if ids is None else [2, 3, 0])]
    np.testing.assert_array_equal(jax.jit(last_valid)(features, segments), expected)
    classes, weights = np.array([0, 1, 2], np.int32), np.array([1.0, 1.0, 0.0], np.float32)
    loss = forward(TASK, Batch(features, classes, weights, segments))[0]
    pooled = forward(TASK, Batch(expected, classes, weights))[0]
    assert loss == pooled


def test_baseline_is_the_majority_class_and_the_frequencies() -> None:
    def split(labels: list[int]) -> ExampleSplit:
        numbers = EncodedLabels(np.array(labels, np.int32))
        return ExampleSplit({"inputs": numbers, "targets": numbers}, np.arange(len(labels)))

    found = TASK.baseline(trial(LABELS, split([0, 1, 1, 1, 1]), split([1, 1, 0, 2])))
    shares = np.array([2, 5, 1]) / 8
    assert found["model"] == "majority class" and found["accuracy"] == 0.5
    expected = -np.log(shares[[1, 1, 0, 2]]).mean()
    np.testing.assert_allclose(found["loss"], expected, **TOLERANCE["rounding"])


def log_odds(p: float) -> list[float]:
    return [0.0, float(np.log(p / (1 - p)))]


def outcomes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predicted 1 1 1 0 0 with .9 .9 .7 .8 .6 where 1 0 1 0 1 is right, and a row of padding."""
    chances = (0.9, 0.9, 0.7, 0.2, 0.4)
    logits = np.array([*map(log_odds, chances), [np.nan, np.nan]], np.float32)
    return logits, np.array([1, 0, 1, 0, 1, 1], np.int32), np.array([1] * 5 + [0], np.float32)


def counted(cuts: tuple[int, ...]) -> dict[str, float]:
    """The figures of batches that end at these rows."""
    logits, classes, weights = outcomes()
    parts = [slice(a, b) for a, b in itertools.pairwise((0, *cuts))]
    count = jax.jit(count_outcomes)
    sums = [count(logits[p], classes[p], weights[p]) for p in parts]
    total = jax.tree.map(lambda *x: np.sum([np.asarray(y, np.float64) for y in x], axis=0), *sums)
    return summarize_outcomes(total)


@pytest.mark.parametrize("cuts", [(6,), (2, 6), (1, 2, 3, 4, 5, 6), (4, 6)])
def test_f1_and_calibration_are_the_definition_s_whatever_the_cut(cuts: tuple[int, ...]) -> None:
    found = counted(cuts)
    ones, zeros = 2 * 2 / (3 + 3), 2 * 1 / (2 + 2)
    np.testing.assert_allclose(found["f1_binary"], ones, **TOLERANCE["rounding"])
    np.testing.assert_allclose(found["f1"], (ones + zeros) / 2, **TOLERANCE["rounding"])
    # Four bins: .9 twice, one of them right; .7 and .8 right, .6 wrong.
    expected = (abs(1 - 1.8) + abs(1 - 0.7) + abs(1 - 0.8) + abs(0 - 0.6)) / 5
    np.testing.assert_allclose(found["calibration_error"], expected, **TOLERANCE["rounding"])


def test_a_class_that_neither_occurs_nor_is_predicted_is_in_no_mean() -> None:
    logits = jnp.array([[3.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
    sums = jax.device_get(count_outcomes(logits, jnp.array([0, 1]), jnp.ones(2)))
    found = summarize_outcomes(sums)["f1"]
    np.testing.assert_allclose(found, (2 / 3 + 0) / 2, **TOLERANCE["rounding"])


BYTES = {"inputs": Tokens(TokensConfig(), ByteTokenizer()), "targets": LABELS["targets"]}


def labelled(texts: list[list[int]], labels: list[int]) -> ExampleSplit:
    lengths = np.array([len(text) for text in texts])
    split = TokenSplit(np.concatenate(texts).astype(np.uint8), np.cumsum([0, *lengths]))
    columns = {
        "inputs": EncodedTokens(split, BYTES["inputs"]),
        "targets": EncodedLabels(np.array(labels, np.int32)),
    }
    return ExampleSplit(columns, np.arange(len(texts)))


def test_naive_bayes_is_the_definition_s() -> None:
    """By dictionaries: each token and each pair of neighbours once a text."""
    train = labelled([[1, 2, 1, 2], [2, 3], [3, 1, 1], [1, 2]], [0, 0, 1, 2])
    asked = [[1, 2], [3, 3, 1], [7, 8], [2]]
    features = lambda text: {(t,) for t in text} | set(itertools.pairwise(text))
    texts = [[1, 2, 1, 2], [2, 3], [3, 1, 1], [1, 2]]
    known = set().union(*map(features, texts))
    expected = np.zeros((4, 3))
    for c, members in enumerate(([0, 1], [2], [3])):
        count = {f: 1 + sum(f in features(texts[i]) for i in members) for f in known}
        for row, text in enumerate(asked):
            likely = [np.log(count[f] / sum(count.values())) for f in features(text) & known]
            expected[row, c] = np.log(1 + len(members)) + sum(likely)
    expected -= np.log(np.exp(expected).sum(axis=1, keepdims=True))
    found = naive_bayes(bags(train), labels_of(train), bags(labelled(asked, [0] * 4)), 3)
    np.testing.assert_allclose(found, expected, **TOLERANCE["rounding"])
    baseline = TASK.baseline(trial(BYTES, train, labelled(asked, [0, 1, 2, 0])))
    assert baseline["model"] == "naive Bayes of bigrams"
    assert baseline["accuracy"] == (expected.argmax(axis=1) == [0, 1, 2, 0]).mean()
    (other,) = baseline["beside"]
    assert other["model"] == "majority class" and other["accuracy"] == 0.5


def test_of_texts_without_a_known_word_naive_bayes_knows_the_shares() -> None:
    train = labelled([[1, 2], [2, 3], [3, 1]], [0, 0, 1])
    found = naive_bayes(bags(train), labels_of(train), bags(labelled([[7, 8], [9]], [0, 0])), 3)
    expected = np.log(np.array([3, 2, 1]) / 6)
    np.testing.assert_allclose(found, np.tile(expected, (2, 1)), **TOLERANCE["rounding"])


def test_a_row_is_shown_as_its_class_and_a_picture() -> None:
    images = np.full((2, 4, 6, 2), -1, np.float32)
    images[0, :, 3:] = 1
    batch = Batch(images, np.array([2, 0]), np.array([1.0, 0.0], np.float32))
    assert TASK.show(batch, 0, LABELS) == "c\n   @@@\n   @@@"
    assert TASK.show(batch, 1, LABELS) == "(padding)"
