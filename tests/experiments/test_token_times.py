"""`python -m experiments.token_times`: what is said of states in docs/evaluation.md."""

from __future__ import annotations

import pytest

from experiments.token_times import measure

pytestmark = pytest.mark.grid


def test_a_recurrent_state_has_one_size_and_a_cache_grows() -> None:
    found = measure([8, 24])
    for name in ("LSTM", "Aaren"):
        short, long = found[name]["state_bytes"]
        assert short == long
    short, long = found["GPT with its cache"]["state_bytes"]
    assert long > 1.3 * short
    assert all(seconds > 0 for values in found.values() for seconds in values["seconds"])
