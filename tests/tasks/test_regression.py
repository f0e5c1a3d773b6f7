"""Numbers for a whole sequence: the loss, padding, and the mean as a baseline."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.configs._diagnostics import make_config
from seqmodels.config.errors import UserError
from seqmodels.config.features import ValuesConfig
from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.regression import RegressionConfig
from seqmodels.config.validate import validate
from seqmodels.data.examples import ExampleSplit
from seqmodels.data.features.values import EncodedValues, Values
from seqmodels.protocols import Part
from seqmodels.tasks.regression import NumberAnswerer, Regression
from seqmodels.types import DataSpec, ValueInput, ValueOutput
from tests.tasks.stand_in import Passing, trial

TASK = Regression(RegressionConfig())
FEATURES = {
    "inputs": Values(ValuesConfig(), np.zeros(3), np.ones(3)),
    "targets": Values(ValuesConfig(), np.array([1.0, 0.0]), np.array([2.0, 1.0])),
}
MASK = np.array([1, 1, 0], np.float32)
SEGMENTS = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]], np.int32)
TARGETS = np.arange(6, dtype=np.float32).reshape(3, 1, 2)
FOUND = np.array([[1, 0], [2, 5], [np.nan, 0]], np.float32)


def batch() -> Any:
    inputs = Part(np.zeros((3, 4, 3), np.float32), SEGMENTS, MASK)
    parts = {"inputs": inputs, "targets": Part(TARGETS, MASK, MASK)}
    return jax.tree.map(jnp.asarray, TASK.make_batch(parts, FEATURES))


def test_the_loss_is_the_squared_error_of_the_rows() -> None:
    assert TASK.make_spec(FEATURES) == DataSpec(ValueInput(3), ValueOutput(1, 2))
    made = batch()
    assert made.targets.shape == (3, 2) and made.target_segment_ids is None
    params = jnp.asarray(np.repeat(FOUND[:, None], 4, axis=1))
    loss, weight, sums, _ = TASK.forward(Passing(), params, made, None, train=False, key=None)
    assert (float(loss), float(weight)) == (1 + 2, 2)  # (1 + 1) / 2 and (0 + 4) / 2
    figures = TASK.summarize(
        {k: (np.asarray(a), np.asarray(b)) for k, (a, b) in sums.items()}, None
    )
    by_length = figures.pop("by_length")
    assert figures == {"loss": 1.5, "absolute_error": 1.0, "num_targets": 2}
    assert [(row["longest"], row["loss"]) for row in by_length] == [(2, 2.0), (4, 1.0)]
    assert TASK.show(made, 2, FEATURES) == "(padding)"
    assert TASK.show(made, 1, FEATURES).startswith("5\n3")


def test_the_baseline_is_the_mean_of_training() -> None:
    rows = lambda *x: EncodedValues(np.array(x, np.float32)[:, None], np.arange(len(x) + 1))
    splits = [ExampleSplit({"targets": rows(*x)}, np.arange(2)) for x in ((1, 3), (2, 6))]
    assert TASK.baseline(trial(FEATURES, *splits)) == {
        "model": "mean",
        "loss": 8.0,
        "absolute_error": 2.0,
    }


def test_answers_are_in_the_units_of_the_data() -> None:
    params = jnp.asarray(np.repeat(FOUND[:1, None], 8, axis=1))
    answerer = NumberAnswerer(Passing(), params, FEATURES, 1)
    (answer,) = answerer(["given"], [answerer.read("[[1, 2, 3], [4, 5, 6], [0, 0, 0]]")])
    assert answer["numbers"] == [3.0, 0.0]


def test_targets_of_more_steps_are_refused() -> None:
    config = make_config("adding", RecurrentConfig(), num_steps=500, peak_lr=0.1)
    validate(config)
    config.data.targets.max_length = 2  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=r"data\.targets\.max_length=2: must be 1"):
        validate(config)
