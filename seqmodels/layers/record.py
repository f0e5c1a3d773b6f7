"""Inner values of a model: recorded, or shifted, where a caller asks for it, and free elsewhere.

A caller that makes the collection `RECORDED` mutable gets the values; one that passes the
collection `SHIFTS` adds arrays to values of those names, so that a gradient by them is one by the
values. Any other program is the same as if this module did not exist.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
from jaxtyping import Array

RECORDED, SHIFTS = "recorded", "shifts"


def is_recording(module: nn.Module) -> bool:
    """Whether the caller asks for inner values; not while parameters are made."""
    return module.is_mutable_collection(RECORDED) and not module.is_initializing()


def record(module: nn.Module, name: str, make: Callable[[], Any]) -> None:
    """Keeps `make()` under the module's path and a name, where the caller asks for it.

    Args:
      make: called only then.
    """
    if is_recording(module):
        module.put_variable(RECORDED, name, make())


def record_all(module: nn.Module, make: Callable[[], dict[str, Any]]) -> None:
    """The same for several values by name."""
    if is_recording(module):
        for name, value in make().items():
            module.put_variable(RECORDED, name, value)


def hook(module: nn.Module, name: str, x: Array) -> Array:
    """Records an array, and adds what the caller gives under this name, if anything.

    Of a module that is called more than once the last call is recorded; calls of another shape than
    that one are not shifted.
    """
    record(module, name, lambda: x)
    if module.has_variable(SHIFTS, name):
        shift = module.get_variable(SHIFTS, name)
        return x + shift if shift.shape == x.shape else x
    return x
