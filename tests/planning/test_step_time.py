"""The predicted time of a step, from peaks that are given."""

from __future__ import annotations

import pytest

from seqmodels.config.training import TrainingConfig
from seqmodels.planning import step_time
from seqmodels.planning.memory import STEP, Part

PARTS = [
    Part("parameters", 10, 40, 20),
    Part("optimizer", 20, 80, 40),
    Part("batches of a call", None, 60, 30),
    Part(STEP, None, 500, 250),
]


def test_a_step_takes_its_products_and_what_it_moves_at_the_peaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Devices of a CPU share its cores, so that all of their work counts."""
    monkeypatch.setattr(step_time, "matrix_peak", lambda *_, **__: 1e9)
    monkeypatch.setattr(step_time, "bandwidth", lambda *_, **__: 1e6)
    training = TrainingConfig(steps_per_call=3)
    found = step_time.predict_step_time(training, 6 * 10**9, PARTS, devices=2)
    assert found.products == 2.0
    assert found.memory == pytest.approx(2 * (40 + 80 + 500 + 60 / 3) / 1e6)
    first, products, *_ = found.lines()
    assert first == "a step takes 2,001.3 ms or more:"
    assert products.startswith("  products 2,000.0 ms: 2e+09 operations at the 1e+09 per second")
