"""Inner values of a model: recorded, or shifted, where a caller asks for it, and free elsewhere.

A caller that makes the collection `RECORDED` mutable gets the values; one that passes the
collection `SHIFTS` adds arrays to values of those names, so that a gradient by them is one by the
values. Any other program is the same as if this module did not exist.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
from jaxtyping import Array

RECORDED, SHIFTS = "recorded", "shifts"
CALL = "@"
"""Between the name of a value and that of a further call of its module."""
_call: contextvars.ContextVar[str] = contextvars.ContextVar("call", default="")


@contextlib.contextmanager
def further_call(name: str) -> Iterator[None]:
    """Within it, values of modules that are called more than once have names of their own.

    Those of `hidden` are kept as `hidden@NAME`, so that they do not replace those of the first
    call, and a shift of the first call is not added again.
    """
    token = _call.set(f"{CALL}{name}")
    try:
        yield
    finally:
        _call.reset(token)


def is_recording(module: nn.Module) -> bool:
    """Whether the caller asks for inner values; not while parameters are made."""
    return module.is_mutable_collection(RECORDED) and not module.is_initializing()


def record(module: nn.Module, name: str, make: Callable[[], Any]) -> None:
    """Keeps `make()` under the module's path and a name, where the caller asks for it.

    Args:
      make: called only then.
    """
    if is_recording(module):
        module.put_variable(RECORDED, name + _call.get(), make())


def record_all(module: nn.Module, make: Callable[[], dict[str, Any]]) -> None:
    """The same for several values by name."""
    if is_recording(module):
        for name, value in make().items():
            module.put_variable(RECORDED, name + _call.get(), value)


def hook(module: nn.Module, name: str, x: Array) -> Array:
    """Records an array, and adds what the caller gives under this name, if anything.

    Of a module that is called more than once the last call of each name is recorded
    (`further_call`).
    """
    record(module, name, lambda: x)
    name += _call.get()
    return x + module.get_variable(SHIFTS, name) if module.has_variable(SHIFTS, name) else x
