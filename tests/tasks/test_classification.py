"""One class an example: loss, which features count, the baseline; by hand."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.tasks import ClassificationConfig
from seqmodels.data.labels import Labels
from seqmodels.tasks.classification import Classification, last_valid
from seqmodels.types import Batch, ClassOutput, DataSpec, ImageInput
from tests.tolerances import TOLERANCE

LABELS = Labels(ImageInput(4, 6, 2), ("a", "b", "c"))
TASK = Classification(ClassificationConfig())
LOGITS = np.array([[2.0, 0.5, -1.0], [0.0, 3.0, 1.0], [np.nan] * 3, [1.0, 1.5, 1.0]], np.float32)
CLASSES = np.array([0, 2, 0, 1], np.int32)
WEIGHTS = np.array([1, 1, 0, 1], np.float32)


class Model:
    """Puts out its inputs; of sequences, as they are."""

    def apply(self, variables: Any, x: Any, *_: Any, method: str = "", **__: Any) -> Any:
        return x if method == "readout" else (x, None)


def forward(task: Classification, batch: Batch, train: bool = False) -> Any:
    key = jax.random.key(0) if train else None
    arrays = jax.tree.map(jnp.asarray, batch)
    return task.forward(Model(), {}, arrays, None, train=train, key=key)


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
    assert metrics.keys() == set(TASK.metric_names)
    assert [float(x) for x in metrics["accuracy"]] == [2.0, 3.0]
    sums = {name: (float(a), float(b)) for name, (a, b) in metrics.items()}
    assert TASK.summarize(sums, None) == {
        "loss": sums["loss"][0] / 3,
        "accuracy": 2 / 3,
        "num_targets": 3,
    }


def test_label_smoothing_is_of_training_only() -> None:
    task = Classification(ClassificationConfig(label_smoothing=0.3))
    batch = Batch(LOGITS, CLASSES, WEIGHTS)
    loss, _, metrics, _ = forward(task, batch, train=True)
    np.testing.assert_allclose(loss, nats(0.3), **TOLERANCE["rounding"])
    np.testing.assert_allclose(metrics["loss"][0], nats(), **TOLERANCE["rounding"])
    np.testing.assert_allclose(forward(task, batch)[0], nats(), **TOLERANCE["rounding"])


@pytest.mark.parametrize("ids", [None, [[1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [0, 0, 0, 0, 0]]])
def test_of_a_sequence_the_last_position_without_padding_counts(ids: Any) -> None:
    features = jnp.asarray(np.random.default_rng(0).normal(size=(3, 5, 3)), jnp.float32)
    segments = None if ids is None else jnp.asarray(ids)
    expected = features[jnp.arange(3), jnp.array([4, 4, 4] if ids is None else [2, 3, 0])]
    np.testing.assert_array_equal(last_valid(features, segments), expected)
    weights = jnp.array([1.0, 1.0, 0.0])
    loss = forward(TASK, Batch(features, jnp.array([0, 1, 2]), weights, segments))[0]
    pooled = forward(TASK, Batch(expected, jnp.array([0, 1, 2]), weights))[0]
    assert loss == pooled


def test_baseline_is_the_majority_class_and_the_frequencies() -> None:
    class Split:
        def __init__(self, labels: list[int]) -> None:
            self.labels = np.array(labels, np.int32)

        def read(self, at: np.ndarray) -> np.ndarray:
            return at

    found = TASK.baseline(Split([0, 1, 1, 1, 1]), Split([1, 1, 0, 2]), LABELS)
    shares = np.array([2, 5, 1]) / 8
    assert found["model"] == "majority class" and found["accuracy"] == 0.5
    expected = -np.log(shares[[1, 1, 0, 2]]).mean()
    np.testing.assert_allclose(found["loss"], expected, **TOLERANCE["rounding"])


def test_a_row_is_shown_as_its_class_and_a_picture() -> None:
    images = np.full((2, 4, 6, 2), -1, np.float32)
    images[0, :, 3:] = 1
    batch = Batch(images, np.array([2, 0]), np.array([1.0, 0.0], np.float32))
    assert TASK.show(batch, 0, LABELS) == "c\n   @@@\n   @@@"
    assert TASK.show(batch, 1, LABELS) == "(padding)"
