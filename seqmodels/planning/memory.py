"""The memory of a run, part by part, from shapes and shardings alone."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax

from seqmodels.training.setup import Setup

STEP = "activations, gradients"


@dataclasses.dataclass(frozen=True)
class Part:
    """Size of one part of a run.

    Attributes:
      name: name of the part.
      count: number of its elements, if known.
      size: bytes over all devices; copies count once.
      size_each: bytes per device.
    """

    name: str
    count: int | None
    size: int
    size_each: int


def kept_parts(setup: Setup, batches: Any) -> list[Part]:
    """The memory that is known without compiling; creates no state.

    Args:
      batches: arrays of a call, or shapes with shardings.
    """
    state = setup.abstract
    parts = [
        _part("parameters", state.params),
        _part("optimizer", state.opt_state),
        _part("moving average", state.ema),
        _part("carry", state.carry),
        dataclasses.replace(_part("batches of a call", batches), count=None),
    ]
    return [part for part in parts if part.size]


def step_part(setup: Setup, compiled: Any) -> Part | None:
    """The memory that a compiled step needs while it runs; None if the backend does not say."""
    analysis = compiled.memory_analysis()
    if analysis is None:
        return None
    each = int(analysis.temp_size_in_bytes)
    return Part(STEP, None, each * setup.mesh.size, each)


def _part(name: str, tree: Any) -> Part:
    leaves = jax.tree.leaves(tree)
    size = lambda shape, x: math.prod(shape) * x.dtype.itemsize
    return Part(
        name,
        sum(int(x.size) for x in leaves),
        sum(size(x.shape, x) for x in leaves),
        sum(size(x.sharding.shard_shape(x.shape), x) for x in leaves),
    )
