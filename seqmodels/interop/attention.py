"""Rules for query, key and value weights, which `layers.attention` keeps in one parameter."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqmodels.interop.tables import Rule


def separate_kernel(
    path: str, names: tuple[str, ...], sizes: tuple[int, int, int, int], **more: Any
) -> Rule:
    """The kernel [D, G, H/G + 2, K], made from weights [H K, D], [G K, D] and [G K, D].

    Args:
      names: tensors of the query, key and value weights.
      sizes: D, H, G, K.
    """
    d, h, g, k = sizes

    def join(query: np.ndarray, key: np.ndarray, value: np.ndarray) -> np.ndarray:
        parts = [part.T.reshape(d, g, -1, k) for part in (query, key, value)]
        return np.concatenate(parts, axis=2)

    def split(kernel: np.ndarray) -> list[np.ndarray]:
        parts = np.split(kernel, [h // g, h // g + 1], axis=2)
        return [part.reshape(d, -1).T for part in parts]

    shapes = [(h * k, d), (g * k, d), (g * k, d)]
    return Rule(path, dict(zip(names, shapes, strict=True)), join, split, **more)


def separate_bias(
    path: str, names: tuple[str, ...], sizes: tuple[int, int, int, int], **more: Any
) -> Rule:
    """The bias [G, H/G + 2, K], made from three biases; arguments as in `separate_kernel`."""
    _, h, g, k = sizes

    def join(query: np.ndarray, key: np.ndarray, value: np.ndarray) -> np.ndarray:
        return np.concatenate([part.reshape(g, -1, k) for part in (query, key, value)], axis=1)

    def split(bias: np.ndarray) -> list[np.ndarray]:
        return [part.reshape(-1) for part in np.split(bias, [h // g, h // g + 1], axis=1)]

    shapes = [(h * k,), (g * k,), (g * k,)]
    return Rule(path, dict(zip(names, shapes, strict=True)), join, split, **more)


def joint_kernel(
    path: str, name: str, sizes: tuple[int, int], *, outputs_first: bool, **more: Any
) -> Rule:
    """The kernel [D, H, 3, K], made from one weight that holds query, key and value in that order.

    Args:
      sizes: D, H.
      outputs_first: the weight is [3 D, D] (PyTorch's linear layer) instead of [D, 3 D].
    """
    d, h = sizes

    def join(weight: np.ndarray) -> np.ndarray:
        weight = weight.T if outputs_first else weight
        return weight.reshape(d, 3, h, d // h).swapaxes(1, 2)

    def split(kernel: np.ndarray) -> list[np.ndarray]:
        weight = kernel.swapaxes(1, 2).reshape(d, 3 * d)
        return [weight.T if outputs_first else weight]

    shape = (3 * d, d) if outputs_first else (d, 3 * d)
    return Rule(path, {name: shape}, join, split, **more)


def joint_bias(path: str, name: str, sizes: tuple[int, int], **more: Any) -> Rule:
    """The bias [H, 3, K], made from one bias [3 D]; `sizes` are D, H."""
    d, h = sizes
    join = lambda bias: bias.reshape(3, h, d // h).swapaxes(0, 1)
    split = lambda bias: [bias.swapaxes(0, 1).reshape(-1)]
    return Rule(path, {name: (3 * d,)}, join, split, **more)
