"""Arrays of the members of a pack: batches that are stacked, outputs that are taken apart."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np


def stack_padded(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Stacks arrays of one rank, filled up with zeros, which are padding, to the largest."""
    shape = tuple(max(sizes) for sizes in zip(*(x.shape for x in arrays), strict=True))
    if all(x.shape == shape for x in arrays):
        return np.stack(arrays)
    stacked = np.zeros((len(arrays), *shape), arrays[0].dtype)
    for row, array in zip(stacked, arrays, strict=True):
        row[tuple(slice(size) for size in array.shape)] = array
    return stacked


class PackedOutputs:
    """The outputs of a call, read from the device once for all members."""

    def __init__(self, outputs: dict[str, Any]) -> None:
        self._outputs = outputs

    @functools.cached_property
    def host(self) -> dict[str, Any]:
        return jax.device_get(self._outputs)

    def of(self, index: int) -> Mapping[str, Any]:
        """Those of a member, which waits for them when it reads."""
        return _MemberOutputs(self, index)


class _MemberOutputs(Mapping[str, Any]):
    def __init__(self, outputs: PackedOutputs, index: int) -> None:
        self._all, self._index = outputs, index

    def __getitem__(self, name: str) -> Any:
        return jax.tree.map(lambda x: x[self._index], self._all.host[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._all.host)

    def __len__(self) -> int:
        return len(self._all.host)
