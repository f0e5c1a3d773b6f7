"""Where arrays lie on a mesh of several devices. On one device nothing here does anything.

Axes have logical names; the table that is current (`training.mesh.RULES`) says over which axes of
the mesh each is split. Parameters are stored one way and computed with another: what is stored over
`fsdp` is gathered where it is needed, so that a product splits its rows and not its sum.

Recurrent layers split rows alone, over the whole mesh, and gather their weights once a chunk. Were
their gates split over `tensor`, as heads and feed-forward parts are, devices would exchange states
at every step of the loop, which waits for each message; rows need none, and the work of a device is
the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

ACTIVATIONS = ("batch", "time", None)
"""Logical names of the axes of [B, T, D]."""


STORED = "stored "
"""Before the name of an axis: as parameters are stored."""

PADDED = ("vocab",)
"""Axes that are split in the program where they do not divide, too. The partitioner pads them to
the next multiple and keeps the padding out of every sum, maximum and choice; their size is what it
was to all who compute with them."""


def fit(
    shape: tuple[int, ...],
    names: tuple[str | None, ...],
    rules: Mapping[str, Any],
    sizes: Mapping[str, int],
) -> PartitionSpec:
    """The axes of a mesh over which an array is split.

    An axis that does not divide, and is not `PADDED`, is split over as many of its mesh axes, from
    the first, as divide it: over none, in the end. No mesh axis splits two axes; the first has it.

    Args:
      shape: of the array.
      names: logical names of its axes.
      rules: logical name -> axis or axes of the mesh; None and unknown names = none.
      sizes: of the axes of the mesh.
    """
    spec: list[str | tuple[str, ...] | None] = []
    taken: set[str] = set()
    for size, name in zip(shape, names, strict=True):
        axes = (rules.get(name) if name else None) or ()
        axes = (axes,) if isinstance(axes, str) else tuple(axes)
        axes = tuple(axis for axis in axes if axis not in taken)
        while name not in PADDED and axes and size % math.prod(sizes[axis] for axis in axes):
            axes = axes[:-1]
        taken.update(axes)
        spec.append(axes[0] if len(axes) == 1 else axes or None)
    return PartitionSpec(*spec)


def constrain(x: Any, names: tuple[str | None, ...]) -> Any:
    """Splits an array over the current mesh by the logical names of its axes, see `fit`.

    Args:
      x: an array, inside jit; on one device anything.
      names: one for each axis.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.size <= 1:
        return x
    rules = dict(nn.get_logical_axis_rules())
    return jax.lax.with_sharding_constraint(x, fit(x.shape, names, rules, mesh.shape))


def by_rows(tree: Any) -> Any:
    """Splits axis 0 of every leaf over the whole mesh, as recurrent layers do."""
    names = lambda x: ("rows", *[None] * (x.ndim - 1))
    return jax.tree.map(lambda x: constrain(x, names(x)), tree)


def by_batch(x: Any, last: str | None = None) -> Any:
    """Splits [B, .., F] by its batch, and its last axis by the logical name of that."""
    return constrain(x, (*("batch", *[None] * x.ndim)[: x.ndim - 1], last))


def stored(
    module: nn.Module, name: str, init: Any, names: tuple[str | None, ...], shape: tuple[int, ...]
) -> Any:
    """A float32 parameter of a module, as it is stored by the logical names of its axes."""
    value: Any = module.param(name, nn.with_logical_partitioning(init, names), shape, jnp.float32)
    # So that a gradient leaves a loop over layers as it is stored, not whole.
    return constrain(value, tuple(name and STORED + name for name in names))


def gathered(value: Any, names: tuple[str | None, ...], dtype: Any = None) -> Any:
    """A stored parameter as the program computes with it, cast before it is sent around."""
    return constrain(value if dtype is None else value.astype(dtype), names)


def parameter(
    module: nn.Module, name: str, init: Any, names: tuple[str | None, ...], shape: tuple[int, ...]
) -> Any:
    """A float32 parameter of a module, as the program computes with it."""
    return gathered(stored(module, name, init, names, shape), names)


def gathers_again(function: Any) -> Any:
    """The same function, whose backward pass gathers parameters again: else those of all layers
    would be whole on every device from the forward pass to the backward pass."""
    return jax.checkpoint(function) if jax.sharding.get_abstract_mesh().size > 1 else function
