"""`python -m experiments.token_times`: what is said of states in docs/evaluation.md."""

from __future__ import annotations

import pytest

from experiments.token_times import CONFIGS, measure

pytestmark = pytest.mark.grid


def test_a_recurrent_state_has_one_size_and_a_cache_grows() -> None:
    lengths = [8, 24]
    found = {name: measure(make, lengths) for name, make in CONFIGS.items()}
    short, long = found["LSTM"]["state_bytes"]
    assert short == long
    short, long = found["GPT with its cache"]["state_bytes"]
    assert long > 1.3 * short
    assert all(seconds > 0 for values in found.values() for seconds in values["seconds"])
