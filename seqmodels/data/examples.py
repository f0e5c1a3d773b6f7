"""Batches of whole examples (an image, a pair of texts), one a row."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.data.packing import plan_buckets, ranges
from seqmodels.data.store import TokenSplit
from seqmodels.types import Batch

PADDING = -1
"""Stands for a row without an example: weight 0."""


@runtime_checkable
class Examples(Protocol):
    """The examples of a split, put into groups; the batches of a group have one shape.

    Attributes:
      groups: numbers of the examples of each group; every example is in one.
    """

    groups: list[np.ndarray]

    def shape(self, group: int) -> tuple[int, ...]:
        """What the axes of a batch of the group measure, the rows apart."""
        ...

    def make(self, chosen: np.ndarray, group: int) -> Batch:
        """Returns the examples `chosen` [b] of a group in numpy; -1 makes a row of padding."""
        ...


class ExampleSource:
    """The batches to train on (see `sources.BatchSource`): every example once an epoch.

    Each epoch deals the examples of a group out to ceil(n / B) batches and permutes all batches.

    Args:
      examples: of the split.
      batch_size: B.
      seed: of the run.
      name: of the split, for errors.

    Raises:
      UserError: a batch has more rows than the split has examples.
    """

    carries_state = False

    def __init__(self, examples: Examples, batch_size: int, seed: int, name: str) -> None:
        groups = examples.groups
        total = sum(len(items) for items in groups)
        if batch_size > total:
            raise UserError(
                f"data.batch_size={batch_size}: the {name} split has {total} examples; at most "
                f"{total}"
            )
        self._examples = examples
        self.batch_size = batch_size
        self.batches_per_epoch = sum(-(-len(items) // batch_size) for items in groups)
        self.shapes = tuple((batch_size, *examples.shape(i)) for i in range(len(groups)))
        plan = functools.partial(plan_buckets, groups, batch_size, seed)
        self._plan = functools.lru_cache(maxsize=2)(plan)

    def position(self, step: int) -> tuple[int, int]:
        """Returns the epoch of a step and its index in that epoch, both from 0."""
        if step < 1:
            raise ValueError(f"steps count from 1, got {step}")
        return divmod(step - 1, self.batches_per_epoch)

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        """Returns `rows` of the batch of a step."""
        epoch, index = self.position(step)
        groups, plan = self._plan(epoch)
        return self._examples.make(plan[index, rows], int(groups[index]))


class ExampleRows:
    """The rows of an evaluation: each example exactly once, in order, group by group.

    Args:
      examples: of the split.
      batch_size: rows evaluated at once.
    """

    carries_state = False
    num_bytes: float | None = None
    context: str | None = None

    def __init__(self, examples: Examples, batch_size: int) -> None:
        self._examples = examples
        self._rows = min(batch_size, max(len(items) for items in examples.groups))
        self.num_batches = sum(-(-len(items) // self._rows) for items in examples.groups)

    def batches(self, multiple: int) -> Iterator[tuple[Batch, bool]]:
        """Yields batches whose rows are a multiple of `multiple`, filled up with padding.

        The second of a pair is True: every row starts anew.
        """
        rows = -(-self._rows // multiple) * multiple
        for group, items in enumerate(self._examples.groups):
            for first in range(0, len(items), self._rows):
                chosen = np.full(rows, PADDING, np.int64)
                part = items[first : first + self._rows]
                chosen[: len(part)] = part
                yield self._examples.make(chosen, group), True


def lay(
    tokens: TokenSplit,
    at: np.ndarray,
    lengths: np.ndarray,
    rows: np.ndarray,
    shape: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Lays texts into rows from column 0 on; returns tokens and segments, int32 of `shape`."""
    texts, segments = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    place = ranges(rows * shape[1], lengths)
    texts.reshape(-1)[place] = tokens.tokens[ranges(tokens.offsets[at], lengths)]
    segments.reshape(-1)[place] = 1
    return texts, segments
