"""The device mesh and the one table that maps logical axis names to its axes."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
from jax.sharding import (
    AbstractMesh,
    AxisType,
    Mesh,
    NamedSharding,
    PartitionSpec,
    Sharding,
    SingleDeviceSharding,
)

from seqmodels.config.errors import UserError
from seqmodels.config.training import TrainingConfig
from seqmodels.layers.sharding import PADDED, STORED, fit

AXES = ("data", "fsdp", "sequence", "tensor")
BATCH_AXES = ("data", "fsdp")

RULES: dict[str, tuple[str | None, Any]] = {
    "batch": (None, BATCH_AXES),
    "time": (None, "sequence"),
    "rows": (None, (*BATCH_AXES, "tensor", "sequence")),
    "scanned rows": (None, (*BATCH_AXES, "tensor")),
    "vocab": ("tensor", "tensor"),
    "heads": ("tensor", "tensor"),
    "mlp": ("tensor", "tensor"),
    "gates": ("tensor", None),
    "embed": ("fsdp", None),
    "hidden": ("fsdp", None),
}
"""Logical name -> mesh axis, for stored parameters and for the arrays of a computation.

`rows` are the rows of the batch in recurrent layers, `scanned rows` those in layers whose steps
are split over `sequence`, and `gates` the width of their weights; `embed` and `hidden` are widths
that a matrix product sums over."""

_TABLE: dict[str, Any] = {
    **{name: used for name, (_, used) in RULES.items()},
    **{STORED + name: stored for name, (stored, _) in RULES.items()},
}


def make_mesh(training: TrainingConfig, batch_size: int) -> Mesh:
    """The mesh of a run, with the Auto axes `AXES`.

    Raises:
      UserError: the devices cannot form the mesh, or the mesh does not divide the batch.
    """
    devices = jax.device_count()
    sizes = {name: getattr(training, f"mesh_{name}") or 1 for name in AXES}
    if training.mesh_data is None:
        sizes["data"] = max(devices // math.prod(sizes.values()), 1)
    data, fsdp, total = sizes["data"], sizes["fsdp"], math.prod(sizes.values())
    names, numbers = (
        " x ".join(f"mesh_{name}" for name in AXES),
        " x ".join(map(str, sizes.values())),
    )
    if total > devices or devices % total:
        raise UserError(
            f"training.{names} = {numbers} does not fit {devices} device{'s' * (devices > 1)}: the "
            "product must divide them"
        )
    if jax.process_count() > 1 and total < devices:
        raise UserError(
            f"training.{names} = {numbers} leaves devices idle: with several processes the product "
            f"must equal {devices}"
        )
    multiple = data * fsdp * training.accumulation_steps
    if batch_size % multiple:
        raise UserError(
            f"data.batch_size = {batch_size} is not divisible by mesh_data x mesh_fsdp x "
            f"accumulation_steps = {data} x {fsdp} x {training.accumulation_steps}; "
            f"use a multiple of {multiple}"
        )
    return mesh_of_sizes(sizes)


def mesh_of_sizes(sizes: Mapping[str, int]) -> Mesh:
    """The mesh with Auto axes of these sizes, of the first devices."""
    return jax.make_mesh(
        tuple(sizes[name] for name in AXES),
        AXES,
        axis_types=(AxisType.Auto,) * len(AXES),
        devices=jax.devices()[: math.prod(sizes.values())],
    )


def whole_sharding() -> Sharding:
    """Sharding of an unsplit array: on one device, or replicated if there are several processes."""
    if jax.process_count() == 1:
        return SingleDeviceSharding(jax.devices()[0])
    mesh = mesh_of_sizes({**dict.fromkeys(AXES, 1), "data": jax.device_count()})
    return NamedSharding(mesh, PartitionSpec())


@contextlib.contextmanager
def mesh_context(mesh: Mesh) -> Iterator[None]:
    """Sets the mesh and the rules for logical names while a program is traced."""
    with jax.set_mesh(mesh), nn.logical_axis_rules(list(_TABLE.items())):
        yield


def unboxed(tree: Any) -> Any:
    """The arrays (or shapes) of a boxed tree.

    Unlike flax's unbox it does not constrain shardings, which would fail for an indivisible axis.
    """
    boxed = lambda x: isinstance(x, nn.Partitioned)
    return jax.tree.map(lambda x: x.value if boxed(x) else x, tree, is_leaf=boxed)


def shardings_of(abstract: Any, mesh: Mesh | AbstractMesh, rows: int | None = None) -> Any:
    """Shardings of a (boxed) tree of shapes; an indivisible axis is replicated.

    Indivisible axes are logged, one line per cause for all parameters that it concerns.

    Args:
      rows: rows of a micro-batch if the parameters are to be trained.
    """
    found: list[tuple[str | None, int]] = []

    def place(x: Any, axes: PartitionSpec) -> NamedSharding:
        names = (*axes, *[None] * (x.ndim - len(axes)))
        found.extend(zip(names, x.shape, strict=True))
        spec = fit(x.shape, tuple(name and STORED + name for name in names), _TABLE, mesh.shape)
        return NamedSharding(mesh, spec)

    shardings = jax.tree.map(place, unboxed(abstract), nn.get_partition_spec(abstract))
    for line in dict.fromkeys(_indivisible(found, mesh, rows)):
        logging.getLogger(__name__).warning("mesh: %s", line)
    return shardings


def _indivisible(
    found: list[tuple[str | None, int]], mesh: Mesh | AbstractMesh, rows: int | None
) -> Iterator[str]:
    """Yields one line for each indivisible (logical name, size), and one for the rows."""
    names = {name for name, _ in found}
    for name, size in found:
        axis, used = RULES.get(name or "", (None, None))
        if axis is not None and size % mesh.shape[axis]:
            instead = "stored whole, computed in parts"
            if name not in PADDED:
                instead = "stored and computed whole" if used else "stored whole"
            number = f"training.mesh_{axis} = {mesh.shape[axis]}"
            yield f"{name} of {size} is not divisible by {number}: {instead} on each device"
    if rows is not None and rows % mesh.size and "gates" in names:
        yield (
            f"{rows} rows of a micro-batch are not divisible by {mesh.size} devices: "
            f"{mesh.shape['tensor']} of them compute each row of a recurrent layer"
        )


def batch_sharding(mesh: Mesh, stacked: bool) -> NamedSharding:
    """Sharding of a batch [B, ...], or of steps_per_call batches stacked [K, B, ...]."""
    return NamedSharding(mesh, PartitionSpec(*([None] if stacked else []), BATCH_AXES))


def describe_devices(mesh: Mesh, *, packed: bool = False) -> str:
    """The devices of a mesh, its axes, and whether several runs share it: `cpu x 2 (data 2)`."""
    device = mesh.devices.flat[0]
    kind = f"{device.platform} {device.device_kind}".replace("cpu cpu", "cpu")
    axes = ", ".join(f"{name} {size}" for name, size in mesh.shape.items() if size > 1)
    return f"{kind} x {mesh.size}" + (f" ({axes})" if axes else "") + ", in a pack" * packed
