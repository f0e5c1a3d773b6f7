"""Initial parameters of models at the least of their sizes."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import pytest

from seqmodels.models.build import build_model
from seqmodels.runs.run import abstract_params
from tests.conformance.cases import CONFIGS, spec_of

WITH_POSITIONS = [n for n, config in CONFIGS.items() if hasattr(config, "max_length")]


@pytest.mark.parametrize("name", WITH_POSITIONS)
def test_a_model_may_have_a_single_position(name: str) -> None:
    """It lacks the other rows of its tables of positions, and nothing else."""
    config: Any = CONFIGS[name]
    one = dataclasses.replace(config, max_length=1)
    many, few = (
        [math.prod(x.shape) for x in jax.tree.leaves(abstract_params(model))]
        for model in (build_model(changed, spec_of(name)) for changed in (config, one))
    )
    assert len(many) == len(few)
    fewer = [a - b for a, b in zip(many, few, strict=True) if a != b]
    assert set(fewer) <= {(config.max_length - 1) * config.model_dim}
