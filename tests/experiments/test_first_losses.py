"""The losses of the first steps of three shipped configs, so that a commit that moves a number
says so.

They depend on the initialisation, the order of the batches, the arithmetic and the recipe. A test
that fails here without a reason is a fault; with one, its commit has the old and the new numbers,
and the lab notes and docs/results.md are measured again.

The quick XLA flags of this suite, XLA's own, jax 0.10 and 0.12 agree to 7e-7 of a loss; other CPUs
may sum in another order.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from seqmodels.config.files import load_config
from seqmodels.distributed.mesh import mesh_context
from seqmodels.training.feed import Feed
from tests.data.helpers import data_root
from tests.opening import load, set_up

RTOL = {"cpu": 1e-5}
OF_ACCELERATORS = 1e-2
"""Their products have fewer bits, unless a precision is set."""
OWN_TEXT = {"demo_lstm", "demo_gpt"}
"""Their corpus is the documentation of the installed Python, which differs with its version."""
LENGTH = 64
FIRST_LOSSES: dict[str, list[float]] = {
    "demo_lstm": [2.567069, 2.564672, 2.560364],
    "demo_gpt": [2.636499, 2.558849, 2.500090],
    "shakespeare_gpt": [4.164284, 4.091440, 3.967165],
}


def made_up(folder: Path) -> Path:
    """A text that is the same everywhere."""
    rng = random.Random(0)
    words = ["".join(rng.choices("aeioulmnrst", k=rng.randint(2, 7))) for _ in range(400)]
    path = folder / "text.txt"
    path.write_text(" ".join(rng.choices(words, k=20_000)) + "\n")
    return path


def first_losses(name: str, folder: Path, num_steps: int) -> list[float]:
    config = load_config(name)
    if name in OWN_TEXT:
        config.data.name, config.data.path = "text_file", str(made_up(folder))
        config.data.cache_dir, config.data.sequence_length = str(folder), LENGTH
    config.training.log_every = 1  # so that each step is logged alone
    data = load(config)
    source = data.batches(config)
    setup = set_up(config, data.spec, carries_state=source.carries_state)
    state: Any = setup.create_state(config.training.seed)
    feed = Feed(source, setup.mesh, config.training.steps_per_call)
    losses = []
    with mesh_context(setup.mesh):
        for step in range(1, num_steps + 1):
            state, outputs = setup.call(state, feed(step))
            total, weight = outputs["log"]["loss"]
            losses.append(float(total) / float(weight))
    feed.close()
    return losses


@pytest.mark.parametrize("name", FIRST_LOSSES)
def test_the_first_losses_are_those_that_they_were(name: str, tmp_path: Path) -> None:
    if name not in OWN_TEXT:
        data_root()  # skips where there are no data
    expected = FIRST_LOSSES[name]
    found = first_losses(name, tmp_path, len(expected))
    rtol = RTOL.get(jax.default_backend(), OF_ACCELERATORS)
    np.testing.assert_allclose(found, expected, rtol=rtol)
