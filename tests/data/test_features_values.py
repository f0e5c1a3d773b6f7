"""`values`: series, scaled by the training split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqmodels.config.features import LabelConfig, Normalisation, ValuesConfig
from seqmodels.config.tasks import ClassificationConfig
from seqmodels.data.features.values import Values, read_series
from seqmodels.types import ValueInput
from tests.data.sets import experiment, mistake, tables
from tests.opening import load
from tests.tolerances import TOLERANCE

TRAIN = [[[1, 10], [3, 10]], [[2, 10], [6, 10], [4, 10]], [[8, 10]]]
HELD_OUT = [[[100, -7], [200, 9], [5, 5], [0, 0]]]


def rows(series: Any) -> list[dict[str, Any]]:
    return [{"values": one, "label": "xy"[n % 2]} for n, one in enumerate(series)]


def series(folder: Path, train: Any = TRAIN, held_out: Any = HELD_OUT, **fields: Any) -> Any:
    paths = tables(folder, train=rows(train), validation=rows(held_out))
    inputs = ValuesConfig(**fields)
    return experiment(ClassificationConfig(), 1, inputs=inputs, targets=LabelConfig(), **paths)


def inputs_of(config: Any, split: str, features: Any = None) -> tuple[Any, Any]:
    """The data, and the inputs of all rows of a split in one batch."""
    config.data.max_shapes = 1
    data = load(config, features)
    ((batch, _),) = data.rows(split, config.evaluation, 0).batches(1)
    return data, batch


def test_the_scale_is_that_of_the_training_split_alone(tmp_path: Path) -> None:
    """Channel by channel over all steps; a channel that does not vary is only moved."""
    steps = np.concatenate([np.array(one, float) for one in TRAIN])
    mean, deviation = np.array([4.0, 10.0]), np.array([steps[:, 0].std(), 1.0])
    for split, given in (("train", TRAIN), ("validation", HELD_OUT)):
        data, batch = inputs_of(series(tmp_path), split)
        assert data.spec.inputs == ValueInput(2) and batch.inputs.dtype == np.float32
        feature = data.features["inputs"]
        assert feature.mean.tolist() == [4.0, 10.0]
        assert feature.deviation.tolist() == deviation.tolist()
        for row, expected in enumerate(given):
            found, n = batch.inputs[row], len(expected)
            expected = (np.array(expected, float) - mean) / deviation
            np.testing.assert_allclose(found[:n], expected, **TOLERANCE["rounding"])
            assert not found[n:].any()
            assert batch.segment_ids[row].tolist() == [1] * n + [0] * (len(found) - n)
            back = feature.decode(found[:n])
            np.testing.assert_allclose(back, given[row], **TOLERANCE["rounding"])
    assert data.features["inputs"].summary() == "2 channels of values"


@pytest.mark.parametrize("constant", [0.1, -1 / 3, 1e-30, 12345.678, 0.0])
def test_a_constant_channel_is_0_whatever_its_mean_is_rounded_to(
    tmp_path: Path, constant: float
) -> None:
    train = [[[constant, n]] * 7 for n in range(9)]
    data, batch = inputs_of(series(tmp_path, train, [[[constant + 1, 0]]]), "train")
    feature = data.features["inputs"]
    assert feature.deviation[0] == 1.0
    assert np.abs(batch.inputs[..., 0]).max() <= 1e-9 * max(1, abs(constant))
    _, held_out = inputs_of(series(tmp_path, train, [[[constant + 1, 0]]]), "validation")
    np.testing.assert_allclose(held_out.inputs[0, 0, 0], 1.0, **TOLERANCE["rounding"])


def test_values_may_stay_as_they_are(tmp_path: Path) -> None:
    config = series(tmp_path, normalisation=Normalisation.NONE)
    data, batch = inputs_of(config, "validation")
    assert batch.inputs.tolist() == HELD_OUT
    scaled = load(series(tmp_path))
    assert data.fingerprint != scaled.fingerprint == load(series(tmp_path)).fingerprint


def test_a_run_keeps_its_scale(tmp_path: Path) -> None:
    before = load(series(tmp_path / "first"))
    kept = {
        role: type(feature).from_json(json.loads(json.dumps(feature.to_json())), feature.config)
        for role, feature in before.features.items()
    }
    louder = (10 * np.array(HELD_OUT)).tolist()
    _, batch = inputs_of(series(tmp_path / "second", louder * 2, TRAIN), "train", kept)
    scale = before.features["inputs"]
    expected = (np.array(louder[0]) - scale.mean) / scale.deviation
    np.testing.assert_allclose(batch.inputs[0], expected, **TOLERANCE["rounding"])
    config = series(tmp_path / "third", [[1, 2], [3]], [[1]])
    line = mistake(lambda: load(config, kept))
    assert line == f"{tmp_path}/third/train.jsonl, line 1: has 1 channels, not 2"


def test_series_are_lists_or_text(tmp_path: Path) -> None:
    for given, expected in (
        ([1, 2.5], [[1], [2.5]]),
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        ("1 2.5", [[1], [2.5]]),
        (" 1, 2.5 ,-3e2", [[1], [2.5], [-300]]),
        ("[1, 2.5]", [[1], [2.5]]),
        ("[[1, 2], [3, 4]]", [[1, 2], [3, 4]]),
        ("7", [[7]]),
    ):
        found = read_series(given)
        assert found.tolist() == expected and found.dtype == np.float64


BAD = {
    "a word": ([1, "x"], "is not a series of numbers (could not convert string to float: 'x')"),
    "ragged": ([[1, 2], [3]], "is not a series of numbers (setting an array element"),
    "too deep": ([[[1]]], "is not a series: numbers, or a list of steps, is needed"),
    "a number": (3, "is not a series: numbers, or a list of steps, is needed"),
    "no step": ([[], []], "is not a series: numbers, or a list of steps, is needed"),
    "infinite": ("1 2 inf", "has a value that is not a finite float32 at step 2"),
    "not a number": ("nan", "has a value that is not a finite float32 at step 0"),
    "too large": ([1, 1e39], "has a value that is not a finite float32 at step 1"),
    "half a list": ("[1, 2", "is not a series of numbers (Expecting ',' delimiter"),
    "other channels": ([[1, 2]], "has 2 channels, not 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_a_series_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    given, expected = BAD[name]
    for split, bad in (("train", [[1], [2, 3], given]), ("validation", [[1], [2], given])):
        train = bad if split == "train" else [[1], [2, 3]]
        config = series(tmp_path, train, bad)
        line = mistake(lambda config=config: load(config))
        assert line.startswith(f"{tmp_path}/{split}.jsonl, line 3: {expected}")


def test_long_series_are_left_out_of_training_and_refused_elsewhere(tmp_path: Path) -> None:
    train = [TRAIN[0], TRAIN[2], TRAIN[1]]
    data = load(series(tmp_path, train, [[[1, 2]]], max_length=2))
    assert data.splits["train"].kept.tolist() == [0, 1]
    assert data.notes[0] == (
        "1 of 3 examples of the train split are longer than data.inputs.max_length=2 and left out"
    )
    config = series(tmp_path, TRAIN, [[[1, 2]], *HELD_OUT], max_length=3)
    assert mistake(lambda: load(config)) == (
        f"data.inputs.max_length=3: {tmp_path}/validation.jsonl, line 2 has 4 steps; "
        "the longest of the validation split has 4"
    )


def test_a_line_of_the_user_s() -> None:
    values = Values(ValuesConfig(max_length=3), np.array([1.0]), np.array([2.0]))
    assert values.read("1 3 -1").tolist() == [[0], [1], [-1]]
    assert mistake(lambda: values.read("1 2 3 4")) == "has 4 steps; the run's max_length is 3"
    assert mistake(lambda: values.read("[[1, 2]]")) == "has 2 channels, not 1"
    assert mistake(lambda: values.read("")).startswith("is not a series")
    part = values.batch([values.read("1 3"), values.read("5")], 3)
    assert part.values[..., 0].tolist() == [[0, 1, 0], [2, 0, 0], [0, 0, 0]]
    # A row without a series has a step, so that nothing in a model has none.
    assert part.segment_ids is not None
    assert part.segment_ids.tolist() == [[1, 1, 0], [1, 0, 0], [1, 0, 0]]
    assert part.mask.tolist() == [1, 1, 0]
    assert values.show(part.values[0], part.segment_ids[0]) == "1 3"
    two = Values(ValuesConfig(), np.zeros(2), np.ones(2))
    assert two.show(np.array([[1, 2.5], [3, 4]]), None) == "1 3\n2.5 4"
