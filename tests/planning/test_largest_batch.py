"""The largest batch by two probes, next to what is then compiled."""

from __future__ import annotations

import dataclasses
import functools

import jax
import numpy as np

from seqmodels.config.files import load_config
from seqmodels.config.training import TrainingConfig
from seqmodels.planning.largest_batch import (
    bytes_of_device,
    largest_batch,
    other_size,
    rows_together,
)
from seqmodels.tasks.build import build_task
from seqmodels.types import Batch, DataSpec, TokenInput, VocabOutput


def test_a_batch_is_as_large_as_the_memory_by_the_line_of_two() -> None:
    assert largest_batch({8: 180, 4: 140}, limit=200, together=1) == 10
    assert largest_batch({8: 180, 4: 140}, limit=209, together=4) == 8
    assert largest_batch({4: 140, 8: 140}, limit=200, together=1) is None


def test_probes_divide_into_micro_batches_and_devices() -> None:
    training = TrainingConfig(accumulation_steps=3, mesh_tensor=2)
    config = dataclasses.replace(load_config("demo_lstm"), training=training)
    assert rows_together(config, devices=8) == 12
    assert [other_size(rows, 12) for rows in (12, 24, 36, 60)] == [24, 12, 12, 24]


def test_the_memory_of_another_batch_is_what_was_predicted() -> None:
    """The prediction of 32 rows, from 4 and 8, next to the step compiled for 32."""
    config = load_config("demo_lstm")
    sizes = {"model_dim": 8, "hidden_dim": 12, "num_layers": 1}
    model = dataclasses.replace(config.model, **sizes)  # type: ignore[arg-type]
    config = dataclasses.replace(config, model=model)
    spec = DataSpec(TokenInput(11), VocabOutput(11))
    tokens = np.zeros((8, 16), np.int32)
    batch = jax.device_put(Batch(tokens, tokens, np.ones((8, 16), np.float32)))
    measure = functools.partial(
        bytes_of_device, config, build_task(config), spec, batch, carries_state=False
    )
    probes = {rows: measure(rows) for rows in (4, 8)}
    limit = measure(32)
    found = largest_batch(probes, limit, together=1)
    assert found is not None and abs(found - 32) <= 2
