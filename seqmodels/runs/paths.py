"""Parameters by path, such as `stack/blocks/attention/qkv/kernel`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax


def _is_boxed(x: Any) -> bool:
    return isinstance(x, nn.Partitioned)


def map_paths(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Maps function(path, leaf, ...) over trees of parameters; a boxed parameter is one leaf."""
    name = lambda path: jax.tree_util.keystr(path, simple=True, separator="/")
    return jax.tree_util.tree_map_with_path(
        lambda path, *leaves: function(name(path), *leaves), tree, *others, is_leaf=_is_boxed
    )


def flat(tree: Any) -> dict[str, Any]:
    """Flattens a tree to {path: leaf}."""
    found: dict[str, Any] = {}
    map_paths(found.__setitem__, tree)
    return found


def nested(leaves: dict[str, Any]) -> dict[str, Any]:
    """Inverse of `flat`: the tree of dicts."""
    tree: dict[str, Any] = {}
    for path, leaf in leaves.items():
        *folders, name = path.split("/")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = leaf
    return tree


def replaced(tree: Any, leaves: dict[str, Any]) -> Any:
    """Copy of a (boxed) tree with the leaves of some paths replaced."""

    def one(path: str, leaf: Any) -> Any:
        if path not in leaves:
            return leaf
        return leaf.replace_boxed(leaves[path]) if _is_boxed(leaf) else leaves[path]

    return map_paths(one, tree)
