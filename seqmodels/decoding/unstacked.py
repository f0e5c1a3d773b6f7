"""Arrays that hold all layers, taken apart before a loop that reads them at every step.

A stack of blocks has its parameters stacked along an axis of layers, and so has its cache. A step
of decoding reads each layer once, and on a CPU the layer would be copied out of the stack before
its product: as much traffic as the product itself has. So a loop carries the layers as separate
arrays and stacks them inside. The blocks take layer l of a stack at once, so the compiler connects
them with the separate array, and no stack is ever made.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from seqmodels.layers.blocks import BLOCKS

_CACHED = ("keys", "values", "finite")


class Stacks:
    """Takes the stacks of layers in parameters or in a carry apart.

    Args:
      tree: the arrays; only their shapes matter.
    """

    def __init__(self, tree: Any) -> None:
        self._places = _places(tree, None)

    def unstack(self, tree: Any) -> Any:
        """The tree with a tuple in place of each array: its layers, or the array alone."""
        return jax.tree.map(lambda x, place: place.unstack(x), tree, self._places)

    def stack(self, parts: Any) -> Any:
        """The tree that `unstack` took apart."""
        return jax.tree.map(lambda place, part: place.stack(part), self._places, parts)


@dataclasses.dataclass(frozen=True)
class _Place:
    """Shape of one array, and the axis of its layers; None = it has none."""

    shape: tuple[int, ...]
    axis: int | None

    def unstack(self, x: Array) -> tuple[Array, ...]:
        if self.axis is None:
            return (x,)
        # Without axes of size 1: the compiler would reshape them away before the product that
        # reads a cache, merge that with the write of a token, and write into two copies.
        return tuple(jnp.squeeze(layer) for layer in jnp.moveaxis(x, self.axis, 0))

    def stack(self, layers: tuple[Array, ...]) -> Array:
        if self.axis is None:
            return layers[0]
        rest = self.shape[: self.axis] + self.shape[self.axis + 1 :]
        return jnp.moveaxis(jnp.stack([x.reshape(rest) for x in layers]), 0, self.axis)


def _places(tree: Any, axis: int | None) -> Any:
    if not isinstance(tree, dict):
        return jax.tree.map(lambda x: _Place(x.shape, axis), tree)
    cached = _CACHED if jnp.ndim(tree.get("keys", 0)) == 5 else ()  # [B, L, G, S, K]
    axes = {name: 1 if name in cached else 0 if name == BLOCKS else axis for name in tree}
    return {name: _places(part, axes[name]) for name, part in tree.items()}
