"""The benchmark of the training loop."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from experiments.benchmark_loop import measure
from seqmodels.training import loop
from tests.training.test_input_wait import make_config


def test_both_take_the_same_steps_and_neither_evaluates_nor_saves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(tmp_path)
    config = dataclasses.replace(
        config, training=dataclasses.replace(config.training, steps_per_call=2)
    )
    calls, made = 0, []

    class Counting(loop.Feed):
        def __call__(self, step: int) -> object:
            nonlocal calls
            calls += 1
            return super().__call__(step)

    monkeypatch.setattr(loop, "Feed", Counting)
    monkeypatch.setattr(loop.Trainer, "_evaluate_now", lambda self: made.append("evaluation"))
    monkeypatch.setattr(loop.Trainer, "_save", lambda self, metrics: made.append("checkpoint"))
    found = measure(config, steps=8, rounds=2)
    assert calls == (2 + 1) * 4 and made == []
    assert found["milliseconds_per_step"] > 0
    ratio = found["ratio"]
    assert 0 < ratio["low"] <= ratio["median"] <= ratio["high"]
