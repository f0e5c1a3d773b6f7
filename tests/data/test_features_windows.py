"""`windows`: scaled by the training split alone, all of them, whatever the batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.config.data import GapPolicy
from seqmodels.config.features import Normalisation
from seqmodels.config.forecasting import ForecastingConfig, WindowsConfig
from tests.data.sets import experiment, mistake
from tests.opening import load
from tests.tolerances import TOLERANCE

L, H = 5, 3


def series(folder: Path, rows: int = 60, **fields: Any) -> Any:
    """A file of two channels, the second of which has gaps: 36 rows are for training."""
    lines = [f"{n},{'' if n % 7 == 4 else n * n}" for n in range(rows)]
    path = folder / "series.csv"
    path.write_text("\n".join(["a,b", *lines]) + "\n")
    inputs = WindowsConfig(input_length=L, horizon=H, **fields)
    return experiment(
        ForecastingConfig(),
        7,
        name="series_file",
        path=str(path),
        gaps=GapPolicy.MASK,
        validation_fraction=0.2,
        test_fraction=0.2,
        inputs=inputs,
    )


def batch_of(config: Any, split: str, rows: int = 1000) -> Any:
    config.evaluation.batch_size = rows
    data = load(config)
    found = [batch for batch, _ in data.rows(split, config.evaluation, 0).batches(1)]
    keep = [batch.loss_weights.any(axis=(1, 2)) for batch in found]
    return data, {
        name: np.concatenate([vars(b)[name][k] for b, k in zip(found, keep, strict=True)])
        for name in ("inputs", "targets", "loss_weights")
    }


def test_every_window_of_a_split_counts_once_whatever_the_batch(tmp_path: Path) -> None:
    """Its inputs reach back into the split before, its targets do not."""
    config = series(tmp_path, column="a", normalisation=Normalisation.NONE)
    firsts = {"train": (0, 36 - L - H + 1), "validation": (36 - L, 48 - H - L + 1)}
    firsts["test"] = (48 - L, 60 - H - L + 1)
    for split, (first, end) in firsts.items():
        for rows in (1000, 4):
            _, found = batch_of(config, split, rows)
            expected = np.arange(first, end)[:, None] + np.arange(L + H)
            both = np.concatenate([found["inputs"], found["targets"]], axis=1)[..., 0]
            np.testing.assert_array_equal(both, expected)


def test_the_scale_is_that_of_the_training_rows_alone(tmp_path: Path) -> None:
    data, found = batch_of(series(tmp_path), "test")
    feature = data.features["inputs"]
    steps = np.arange(36.0)
    known = steps[steps % 7 != 4] ** 2
    np.testing.assert_allclose(feature.mean, [steps.mean(), known.mean()])
    np.testing.assert_allclose(feature.deviation, [steps.std(), known.std()])
    back = feature.decode(found["inputs"][0])
    np.testing.assert_allclose(back[:, 0], np.arange(48 - L, 48), **TOLERANCE["reference"])


def test_a_missing_value_is_read_as_the_one_before_and_is_not_a_target(tmp_path: Path) -> None:
    _, found = batch_of(series(tmp_path, normalisation=Normalisation.NONE), "train")
    assert not np.isnan(found["inputs"]).any() and not np.isnan(found["targets"]).any()
    # Window 0 reads steps 0 to 4, of which 4 is missing, and its targets are 5, 6 and 7.
    assert found["inputs"][0, :, 1].tolist() == [0, 1, 4, 9, 9]
    # Window 4 begins there: nothing in it is before the gap but step 3.
    assert found["inputs"][4, :2, 1].tolist() == [9, 25]
    places = np.arange(len(found["targets"]))[:, None] + L + np.arange(H)
    np.testing.assert_array_equal(found["loss_weights"][..., 1], places % 7 != 4)
    assert found["loss_weights"][..., 0].all()
    assert found["targets"][4, 2, 1] == 100  # step 11 is missing, and repeats step 10


def test_a_series_that_is_too_short_is_one_line(tmp_path: Path) -> None:
    line = mistake(lambda: load(series(tmp_path, rows=10)))
    expected = "the train split: 6 steps are too few for a window of "
    assert expected + "data.inputs.input_length=5 and data.inputs.horizon=3" in line
