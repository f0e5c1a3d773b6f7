"""The axis of a mesh that splits the steps of a row over devices."""

from __future__ import annotations

import jax

SEQUENCE = "sequence"


def sequence_devices() -> int:
    """Number of devices along the axis in the mesh that is set; 1 without it."""
    return jax.sharding.get_abstract_mesh().shape.get(SEQUENCE, 1)
