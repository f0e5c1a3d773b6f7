"""Rows whose steps are split over devices: the same losses and gradients as on one device."""

from __future__ import annotations

import numpy as np
import pytest

from tests.devices import run_on_devices
from tests.distributed.sequence_program import KINDS
from tests.tolerances import TOLERANCE


@pytest.mark.parametrize(
    "kind",
    [
        "min_gru",
        *(pytest.param(kind, marks=pytest.mark.grid) for kind in KINDS if kind != "min_gru"),
    ],
)
def test_steps_may_be_split_over_devices(kind: str) -> None:
    found, errors = run_on_devices("tests.distributed.sequence_program", kind)
    assert "rematerialization" not in errors
    one, split = found["one"], found["mixed"]
    np.testing.assert_allclose(split["losses"], one["losses"], **TOLERANCE["mesh"])
    assert split["work"] < one["work"] / 4


@pytest.mark.grid
def test_a_linear_recurrence_may_be_split_over_devices() -> None:
    """Results and gradients, real and complex, in all forms, with decays of 0."""
    assert max(run_on_devices("tests.distributed.sequence_program", "scan")[0]) < 1e-5
