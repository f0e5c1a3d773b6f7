"""Sharding of arrays over a mesh of several devices; on one device nothing here has an effect.

Axes have logical names; the current table (`training.mesh.RULES`) maps each to the axes of the mesh
that split it. Parameters are stored in one layout and used in another: a parameter stored over
`fsdp` is gathered where it is used, so that a product splits its rows and not its sum.

The axis `sequence` splits the steps of a row: what acts on each step alone needs no message,
attention gathers keys and values over it, and a linear recurrence exchanges one pair (decay, state)
per device.

Other recurrent layers split only their rows, over the whole mesh, and gather their weights once per
chunk. If their gates were split over `tensor`, like heads and feed-forward parts, devices would
exchange states at every step of the loop and wait for each message. Split rows need no messages,
and the work per device is the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from seqmodels.ops.sequence_axis import sequence_devices

ACTIVATIONS = ("batch", "time", None)
"""Logical names of the axes of [B, T, D]."""


STORED = "stored "
"""Prefix of the name of an axis in the layout in which parameters are stored."""

PADDED = ("vocab",)
"""Axes that are split even where the mesh does not divide them. The partitioner pads them to the
next multiple and keeps the padding out of every sum, maximum and choice; the program sees their
original size."""


def fit(
    shape: tuple[int, ...],
    names: tuple[str | None, ...],
    rules: Mapping[str, Any],
    sizes: Mapping[str, int],
) -> PartitionSpec:
    """The axes of a mesh over which an array is split.

    An axis that is not `PADDED` is split over the longest prefix of its mesh axes whose size
    divides it, which may be empty. A mesh axis splits one axis only, the first that names it.

    Args:
      shape: of the array.
      names: logical names of its axes.
      rules: logical name -> axis or axes of the mesh; None and unknown names are not split.
      sizes: of the axes of the mesh.
    """
    spec: list[str | tuple[str, ...] | None] = []
    taken: set[str] = set()
    for size, name in zip(shape, names, strict=True):
        axes = (rules.get(name) if name else None) or ()
        axes = (axes,) if isinstance(axes, str) else tuple(axes)
        axes = tuple(axis for axis in axes if axis in sizes and axis not in taken)
        while name not in PADDED and axes and size % math.prod(sizes[axis] for axis in axes):
            axes = axes[:-1]
        taken.update(axes)
        spec.append(axes[0] if len(axes) == 1 else axes or None)
    return PartitionSpec(*spec)


def constrain(x: Any, names: tuple[str | None, ...]) -> Any:
    """Splits an array over the current mesh by the logical names of its axes, see `fit`.

    Args:
      x: an array inside jit, or anything on one device.
      names: one per axis.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.size <= 1:
        return x
    rules = dict(nn.get_logical_axis_rules())
    return jax.lax.with_sharding_constraint(x, fit(x.shape, names, rules, mesh.shape))


def by_rows(tree: Any, *, splits_time: bool = False) -> Any:
    """Splits axis 0 of every leaf over the whole mesh, as recurrent layers do.

    Args:
      splits_time: for layers that are scans: axis 1 of [B, T, D] is split over `sequence`, and axis
        0 over the rest of the mesh.
    """

    def names(x: Any) -> tuple[str | None, ...]:
        if splits_time and x.ndim == 3:
            return ("scanned rows", "time", None)
        return ("scanned rows" if splits_time else "rows", *[None] * (x.ndim - 1))

    return jax.tree.map(lambda x: constrain(x, names(x)), tree)


def by_batch(x: Any, last: str | None = None) -> Any:
    """Splits [B, .., F] along the batch, and along the last axis by its logical name.

    A vector [F] has a last axis only; axis 1 of [B, T, .., F] is the time.
    """
    if x.ndim == 1:
        return constrain(x, (last,))
    return constrain(x, ("batch", *["time", None, None][: x.ndim - 2], last))


def splits_time() -> bool:
    """Whether the steps of a row are split over devices.

    [B, T] is not made one axis then: its parts on a device would not be neighbours.
    """
    return sequence_devices() > 1


def stored(
    module: nn.Module, name: str, init: Any, names: tuple[str | None, ...], shape: tuple[int, ...]
) -> Any:
    """A float32 parameter of a module, in the layout in which it is stored."""
    value: Any = module.param(name, nn.with_logical_partitioning(init, names), shape, jnp.float32)
    # So that a loop over layers returns the gradient in this layout, not whole.
    return constrain(value, tuple(name and STORED + name for name in names))


def gathered(value: Any, names: tuple[str | None, ...], dtype: Any = None) -> Any:
    """A stored parameter in the layout for computing, cast before it is gathered."""
    if dtype is not None and dtype != value.dtype:
        # Without a layout of its own the cast would take that of its result, and be gathered first.
        value = constrain(value.astype(dtype), tuple(name and STORED + name for name in names))
    return constrain(value, names)


def parameter(
    module: nn.Module, name: str, init: Any, names: tuple[str | None, ...], shape: tuple[int, ...]
) -> Any:
    """A float32 parameter of a module, in the layout for computing."""
    return gathered(stored(module, name, init, names, shape), names)


def gathers_again(function: Any) -> Any:
    """The same function, with parameters gathered again in the backward pass.

    Otherwise those of all layers would be whole on every device between the two passes.
    """
    return jax.checkpoint(function) if jax.sharding.get_abstract_mesh().size > 1 else function
