"""Baselines of classes and of tags, and counts of confusions: by their definitions, by hand."""

from __future__ import annotations

import collections
from typing import Any

import jax.numpy as jnp
import numpy as np

from seqmodels.config.features import (
    ImageConfig,
    LabelConfig,
    TagsConfig,
    TokensConfig,
    ValuesConfig,
)
from seqmodels.config.tasks import ClassificationConfig, TaggingConfig
from seqmodels.data.examples import ExampleSplit
from seqmodels.data.features.image import EncodedImages, Image, _Stored
from seqmodels.data.features.label import EncodedLabels, Label
from seqmodels.data.features.tags import EncodedTags, Tags
from seqmodels.data.features.tokens import EncodedTokens, Tokens
from seqmodels.data.features.values import EncodedValues, Values
from seqmodels.data.token_store import TokenSplit
from seqmodels.data.tokenizers import ByteTokenizer
from seqmodels.tasks import class_baselines
from seqmodels.tasks.class_baselines import weigh_positions
from seqmodels.tasks.class_scores import count_confusions
from seqmodels.tasks.classification import Classification
from seqmodels.tasks.pictures import make_confusion_figure, make_map
from seqmodels.tasks.tag_baselines import Labelled, guess_by_token, guess_by_window
from seqmodels.tasks.tagging import Tagging
from seqmodels.types import ImageInput
from tests.tasks.stand_in import trial
from tests.tolerances import TOLERANCE

LABEL = Label(LabelConfig(), ("a", "b", "c"))
TOKENS = Tokens(TokensConfig(), ByteTokenizer())
SERIES = Values(ValuesConfig(), np.zeros(1), np.ones(1))
RNG = np.random.default_rng(0)


def encoded_texts(rows: list[list[int]]) -> EncodedTokens:
    offsets = np.cumsum([0, *map(len, rows)])
    return EncodedTokens(TokenSplit(np.concatenate(rows).astype(np.uint8), offsets), TOKENS)


def encoded_series(rows: list[list[float]]) -> EncodedValues:
    flat = np.concatenate(rows).astype(np.float32)[:, None]
    return EncodedValues(flat, np.cumsum([0, *map(len, rows)]))


def labelled(column: Any, labels: list[int]) -> ExampleSplit:
    columns = {"inputs": column, "targets": EncodedLabels(np.array(labels, np.int32))}
    return ExampleSplit(columns, np.arange(len(labels)))


def ask(inputs: Any, train: ExampleSplit, test: ExampleSplit) -> dict[str, Any]:
    """Figures by the name of their baseline."""
    task, features = Classification(ClassificationConfig()), {"inputs": inputs, "targets": LABEL}
    found = task.baseline(trial(features, train, test))
    return {row["model"]: row for row in [*found.get("beside", ()), found]}


def test_position_weights_are_the_definition_s() -> None:
    train, labels = RNG.integers(0, 4, (7, 3)), np.array([0, 0, 0, 1, 1, 2, 2])
    asked = RNG.integers(0, 5, (4, 3))
    size = len({*train.ravel().tolist(), *asked.ravel().tolist()})
    expected = np.zeros((4, 3))
    for row, text in enumerate(asked):
        for c in range(3):
            mine = train[labels == c]
            seen = [(1 + (mine[:, t] == text[t]).sum()) / (size + len(mine)) for t in range(3)]
            expected[row, c] = (1 + len(mine)) * np.prod(seen)
    expected /= expected.sum(axis=1, keepdims=True)
    found = weigh_positions(train, labels, asked, 3)
    np.testing.assert_allclose(np.exp(found), expected, **TOLERANCE["rounding"])


def test_texts_of_one_length_have_position_weights_and_others_have_not() -> None:
    train = labelled(encoded_texts([[1, 2], [1, 3], [4, 2], [4, 4]]), [0, 0, 1, 1])
    asked = labelled(encoded_texts([[1, 9], [4, 9]]), [0, 1])
    found = ask(TOKENS, train, asked)
    assert list(found) == ["majority class", "naive Bayes of bigrams", "position weight matrix"]
    assert found["position weight matrix"]["accuracy"] == 1.0
    asked = labelled(encoded_texts([[1, 9], [4]]), [0, 1])
    assert "position weight matrix" not in ask(TOKENS, train, asked)


def test_the_nearest_series_has_the_class_and_no_probability() -> None:
    train = labelled(encoded_series([[0, 0], [5, 5], [9, 0]]), [0, 1, 2])
    asked = labelled(encoded_series([[1, 1], [4, 4], [8, 1], [6, 0]]), [0, 1, 2, 1])
    found = ask(SERIES, train, asked)
    row = found["nearest neighbour"]
    assert row["accuracy"] == 0.75 and "loss" not in row and "calibration_error" not in row
    np.testing.assert_allclose(row["f1"], (1 + 2 / 3 + 2 / 3) / 3, **TOLERANCE["rounding"])
    other = labelled(encoded_series([[1, 1], [4]]), [0, 1])
    assert list(ask(SERIES, train, other)) == ["majority class"]


def test_logistic_regression_sees_pixels_and_no_more_images_than_it_may(monkeypatch: Any) -> None:
    monkeypatch.setattr(class_baselines, "MOST_ROWS", 30)
    labels = np.arange(60) % 2
    pixels = RNG.integers(0, 60, (60, 2, 3, 1)).astype(np.uint8)
    pixels[:, 1, 2, 0] += (150 * labels).astype(np.uint8)
    config = ImageConfig()
    column = EncodedImages(_Stored(pixels), config)
    split = labelled(column, labels.tolist())
    found = ask(Image(config, ImageInput(2, 3, 1)), split, split)["logistic regression"]
    assert found["accuracy"] == 1.0 and found["num_trained"] == 30
    assert found["loss"] >= -np.log(31 / 33)  # (n p + 1) / (n + C), the third class included


def test_guesses_of_labels_are_the_definition_s() -> None:
    train = Labelled(
        np.array([1, 2, 1, 1, 2]), np.array([0, 0, 0, 1, 1]), np.array([0, 1, 0, 1, 1])
    )
    asked = Labelled(np.array([2, 1, 3]), np.array([0, 0, 1]), np.array([0, 0, 0]))
    by_token = {1: [3 / 5, 2 / 5], 2: [1 / 4, 3 / 4], 3: [1 / 2, 1 / 2]}
    expected = np.log([by_token[t] for t in (2, 1, 3)])
    found = guess_by_token(train, asked, 2)
    np.testing.assert_allclose(found, expected, **TOLERANCE["rounding"])
    rows = {True: [[1, 2, 1], [1, 2]], False: [[2, 1], [3]]}  # of train, of asked
    seen: Any = collections.Counter()
    at = lambda row, place: row[place] if 0 <= place < len(row) else None
    for row, labels in zip(rows[True], ([0, 1, 0], [1, 1]), strict=True):
        for t, label in enumerate(labels):
            seen.update((label, d, at(row, t + d)) for d in range(-6, 7))
    for row, (own, t) in enumerate([([2, 1], 0), ([2, 1], 1), ([3], 0)]):
        chances = [
            (1 + n) * np.prod([(1 + seen[c, d, at(own, t + d)]) / (5 + n) for d in range(-6, 7)])
            for c, n in enumerate((2, 3))
        ]  # five symbols: 0, 1, 2, 3 and what is beyond an end
        found = np.exp(guess_by_window(train, asked, 2)[row])
        np.testing.assert_allclose(found, chances / np.sum(chances), **TOLERANCE["rounding"])


def test_tags_have_three_baselines_over_tokens() -> None:
    tags = Tags(TagsConfig(), ("x", "y"))
    texts, rows = [[1, 2, 1], [2, 2]], [[0, 1, 0], [1, 1]]
    column = EncodedTags(np.concatenate(rows).astype(np.int32), np.array([0, 3, 5]))
    split = ExampleSplit({"inputs": encoded_texts(texts), "targets": column}, np.arange(2))
    features = {"inputs": TOKENS, "targets": tags}
    found = Tagging(TaggingConfig()).baseline(trial(features, split, split))
    rows = [found, *found["beside"]]
    names = ["counts in a window of 13", "majority label", "majority label of a token"]
    assert [row["model"] for row in rows] == names
    assert [row["accuracy"] for row in rows] == [1.0, 0.6, 1.0]


def test_confusions_are_counted_without_padding_in_any_shape() -> None:
    logits = np.full((2, 3, 3), -1.0, np.float32)
    for place, predicted in (((0, 0), 0), ((0, 1), 2), ((0, 2), 2), ((1, 0), 1)):
        logits[place][predicted] = 1.0
    logits[1, 1:] = np.nan
    targets = np.array([[0, 0, 2], [1, 0, 0]])
    weights = np.array([[1, 1, 2], [1, 0, 0]], np.float32)
    found = count_confusions(jnp.asarray(logits), jnp.asarray(targets), jnp.asarray(weights))
    np.testing.assert_array_equal(found, [[1, 0, 1], [0, 1, 0], [0, 0, 1]])
    flat = (jnp.asarray(x.reshape(6, *x.shape[2:])) for x in (logits, targets, weights))
    np.testing.assert_array_equal(count_confusions(*flat), found)


def test_pictures_show_counts_and_the_line_between_classes() -> None:
    figure = make_confusion_figure(np.array([[5, 1], [2, 4]]), ("$a", "b"), "test")
    (axes, _) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["5", "1", "2", "4"]
    assert axes.get_title() == "test: 12 targets, 75.0% right"
    np.testing.assert_allclose(axes.images[0].get_array(), [[5 / 6, 1 / 6], [1 / 3, 2 / 3]])
    side = np.linspace(0, 1, 5)
    chances = np.stack([np.tile(1 - side, (5, 1)), np.tile(side, (5, 1))], axis=-1)
    points = (np.array([[0.1, 0.2], [0.9, 0.3], [0.2, 0.9]]), np.array([0, 1, 0]))
    (plot,) = make_map(chances, [side, side], ["u", "v"], points, ("no", "yes")).axes
    lines = [path.vertices for c in plot.collections for path in c.get_paths() if len(path) > 2]
    between = [line for line in lines if np.allclose(line[:, 0], 0.5)]
    assert len(between) == 2, "each class has the same edge, at 0.5"
    assert (plot.get_xlabel(), plot.get_ylabel()) == ("u", "v")
