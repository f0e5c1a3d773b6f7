"""The device mesh and the one table that maps logical axis names to its axes."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from seqmodels.config.errors import UserError
from seqmodels.config.training import TrainingConfig

BATCH_AXES = ("data", "fsdp")

RULES: tuple[tuple[str, Any], ...] = (
    ("batch", BATCH_AXES),
    ("time", None),
    ("embed", "fsdp"),
    ("vocab", None),
    ("heads", "tensor"),
    ("kv", None),
    ("mlp", "tensor"),
    ("hidden", "fsdp"),
    ("gates", "tensor"),
    ("norm", None),
    ("layers", None),
)


def make_mesh(training: TrainingConfig, batch_size: int) -> Mesh:
    """The mesh of a run, with Auto axes `data`, `fsdp` and `tensor`.

    Raises:
      UserError: the devices do not make such a mesh, or the mesh does not divide the batch.
    """
    devices = jax.device_count()
    fsdp, tensor = training.mesh_fsdp, training.mesh_tensor
    data = training.mesh_data or max(devices // (fsdp * tensor), 1)
    if data * fsdp * tensor > devices or devices % (data * fsdp * tensor):
        raise UserError(
            f"training.mesh_data x mesh_fsdp x mesh_tensor = {data} x {fsdp} x {tensor} does not "
            f"fit {devices} device{'s' * (devices > 1)}: the product must divide them"
        )
    multiple = data * fsdp * training.accumulation_steps
    if batch_size % multiple:
        raise UserError(
            f"data.batch_size = {batch_size} is not divided by mesh_data x mesh_fsdp x "
            f"accumulation_steps = {data} x {fsdp} x {training.accumulation_steps}; "
            f"use a multiple of {multiple}"
        )
    return jax.make_mesh(
        (data, fsdp, tensor),
        ("data", "fsdp", "tensor"),
        axis_types=(AxisType.Auto,) * 3,
        devices=jax.devices()[: data * fsdp * tensor],
    )


@contextlib.contextmanager
def mesh_context(mesh: Mesh) -> Iterator[None]:
    """Makes the mesh and the table of logical names current, for tracing inside."""
    with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
        yield


def unboxed(tree: Any) -> Any:
    """The arrays (or shapes) of a boxed tree. Unlike flax's unbox it constrains no sharding, which
    would fail for an axis that does not divide."""
    boxed = lambda x: isinstance(x, nn.Partitioned)
    return jax.tree.map(lambda x: x.value if boxed(x) else x, tree, is_leaf=boxed)


def shardings_of(abstract: Any, mesh: Mesh) -> Any:
    """Shardings of a (boxed) tree of shapes; axes that do not divide a dimension are replicated."""
    specs = nn.get_partition_spec(abstract)
    shardings = nn.logical_to_mesh_sharding(specs, mesh, RULES)
    replicated: set[str] = set()

    def fit(shape: Any, sharding: NamedSharding) -> NamedSharding:
        spec = list(sharding.spec)
        for i, axis in enumerate(spec):
            names = axis if isinstance(axis, tuple) else (axis,)
            size = int(np.prod([mesh.shape[n] for n in names if n is not None]))
            if shape.shape[i] % size:
                replicated.add(f"{axis} (size {size}) over a dimension of {shape.shape[i]}")
                spec[i] = None
        return NamedSharding(mesh, PartitionSpec(*spec))

    fitted = jax.tree.map(fit, unboxed(abstract), shardings)
    for line in sorted(replicated):
        logging.getLogger(__name__).warning("mesh: replicated, since it does not divide: %s", line)
    return fitted


def batch_sharding(mesh: Mesh, stacked: bool) -> NamedSharding:
    """Sharding of a batch [B, ...], or of steps_per_call batches stacked [K, B, ...]."""
    return NamedSharding(mesh, PartitionSpec(*([None] if stacked else []), BATCH_AXES))
