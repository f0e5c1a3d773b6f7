"""The largest batch that fits into the memory of a device, from compiled steps of two sizes."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from seqmodels.config.experiment import ExperimentConfig
from seqmodels.distributed.mesh import mesh_context
from seqmodels.planning.memory import kept_parts, step_part
from seqmodels.protocols import Task
from seqmodels.training.setup import set_up
from seqmodels.types import DataSpec


def rows_together(config: ExperimentConfig, devices: int) -> int:
    """The rows by which a batch grows: one for each micro-batch and each device that splits rows.

    Args:
      devices: of the mesh.
    """
    training = config.training
    shards = devices // (training.mesh_tensor * training.mesh_sequence)
    return training.accumulation_steps * shards


def other_size(rows: int, together: int) -> int:
    """The size of the second probe: half the batch, where there is a smaller one, else twice."""
    half = rows // 2 // together * together
    return half if half else 2 * rows


def bytes_of_device(
    config: ExperimentConfig,
    task: Task,
    spec: DataSpec,
    batches: Any,
    rows: int,
    *,
    carries_state: bool,
) -> int:
    """The memory of a device with batches of `rows` rows, where the backend says it.

    Args:
      batches: of a call of the config, whose other axes and shardings count.
    """
    data = dataclasses.replace(config.data, batch_size=rows)
    config = dataclasses.replace(config, data=data)
    setup = set_up(config, task, spec, carries_state=carries_state)
    axis = int(config.training.steps_per_call > 1)

    def resized(x: Any) -> jax.ShapeDtypeStruct:
        shape = (*x.shape[:axis], rows, *x.shape[axis + 1 :])
        return jax.ShapeDtypeStruct(shape, x.dtype, sharding=x.sharding)

    shapes = jax.tree.map(resized, batches)
    with mesh_context(setup.mesh):
        step = step_part(setup, setup.call.lower(setup.abstract, shapes).compile())
    assert step is not None
    return sum(part.size_each for part in [*kept_parts(setup, shapes), step])


def largest_batch(probes: dict[int, int], limit: int, together: int) -> int | None:
    """Rows of the largest batch, if memory grows linearly with them; None if it does not grow.

    Args:
      probes: rows -> bytes of a device, of two batches.
      limit: bytes of a device.
      together: see `rows_together`.
    """
    (small, less), (large, more) = sorted(probes.items())
    each = (more - less) / (large - small)
    if each <= 0:
        return None
    return int((small + (limit - less) / each) // together * together)
