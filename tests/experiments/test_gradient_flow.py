"""`python -m experiments.gradient_flow`: what is said of cells in docs/looking.md."""

from __future__ import annotations

import pytest

from experiments.gradient_flow import TITLES, measure
from seqmodels.look.gradients import decay_rate

pytestmark = pytest.mark.grid


@pytest.mark.parametrize(
    ("title", "low", "high"),
    [
        ("tanh RNN, uniform +-1", 1.05, 2.0),
        ("tanh RNN, uniform +-1/8", 0.3, 0.6),
        ("tanh RNN, orthogonal", 0.5, 0.8),
        ("IRNN (identity)", 0.98, 1.02),
        ("LSTM, forget bias 0", 0.5, 0.8),
        ("LSTM, forget bias 1", 0.7, 0.9),
        ("LSTM, chrono", 0.95, 1.0),
        ("GRU, chrono", 0.95, 1.0),
    ],
)
def test_a_cell_keeps_or_loses_its_gradient(title: str, low: float, high: float) -> None:
    rate = decay_rate(measure(TITLES[title], 100))
    assert rate is not None
    assert low < rate < high
