"""Batches of whole examples, one per row, made of the columns that features encoded."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.data.features.feature import PADDING, EncodedColumn
from seqmodels.data.packing import choose_widths, plan_buckets
from seqmodels.protocols import Part
from seqmodels.types import Batch

MakeBatch = Callable[[Mapping[str, Part]], Batch]


@dataclasses.dataclass(frozen=True)
class ExampleSplit:
    """The examples of one split.

    Attributes:
      columns: by role.
      kept: numbers of the rows that are used, [n].
    """

    columns: Mapping[str, EncodedColumn]
    kept: np.ndarray

    def lengths(self, role: str) -> np.ndarray | None:
        """Steps of the rows that are used; None where they have none."""
        lengths = self.columns[role].lengths
        return None if lengths is None else lengths[self.kept]

    def sizes(self) -> dict[str, int]:
        """The number of examples, and what their columns count."""
        sizes = {"examples": len(self.kept)}
        found = {role: column.sizes(self.kept) for role, column in self.columns.items()}
        names = [name for counts in found.values() for name in counts]
        for role, counts in found.items():
            for name, count in counts.items():
                several = names.count(name) > 1
                sizes[f"{role.removesuffix('s')}_{name}" if several else name] = count
        return sizes


class Examples:
    """The examples of a split in groups of similar length; the batches of a group have one shape.

    Args:
      split: the columns.
      make_batch: makes a batch of what the features make of its rows.
      batch_size: the groups are chosen for it.
      max_shapes: the most groups.

    Attributes:
      groups: numbers of the examples of each group; every example is in one.
    """

    def __init__(
        self, split: ExampleSplit, make_batch: MakeBatch, batch_size: int, max_shapes: int
    ) -> None:
        self._split, self._make_batch = split, make_batch
        found = {role: split.lengths(role) for role in split.columns}
        lengths = {role: steps for role, steps in found.items() if steps is not None}
        self.groups = [np.arange(len(split.kept))]
        if lengths:
            # Columns of equal lengths, as tags next to their tokens, count once.
            total = np.unique(np.stack(list(lengths.values())), axis=0).sum(axis=0)
            widths = choose_widths(total, batch_size, max_shapes)
            group = np.searchsorted(widths, total)
            self.groups = [np.flatnonzero(group == i) for i in range(len(widths))]
        self._widths = [
            {role: int(steps[items].max()) for role, steps in lengths.items()}
            for items in self.groups
        ]

    def shape(self, group: int) -> tuple[int, ...]:
        """The widths of a group: of the inputs, the targets and the source, as far as they vary."""
        widths = self._widths[group]
        return tuple(widths[role] for role in ("inputs", "targets", "source") if role in widths)

    def make(self, chosen: np.ndarray, group: int) -> Batch:
        """Returns the examples `chosen` [b] of a group in numpy; PADDING makes an empty row."""
        real = chosen >= 0
        rows = np.where(real, self._split.kept[np.maximum(chosen, 0)], PADDING)
        widths = self._widths[group]
        return self._make_batch(
            {role: c.part(rows, widths.get(role)) for role, c in self._split.columns.items()}
        )


class ExampleSource:
    """The batches to train on (see `protocols.BatchSource`): every example once an epoch.

    Each epoch splits the examples of a group into ceil(n / B) batches and permutes all batches.

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

    num_bytes: float | None = None
    context: str | None = None
    num_streams: int | None = None

    def __init__(self, examples: Examples, batch_size: int) -> None:
        self._examples = examples
        self._rows = min(batch_size, max(len(items) for items in examples.groups))
        self.num_batches = sum(-(-len(items) // self._rows) for items in examples.groups)

    def batches(self, multiple: int) -> Iterator[tuple[Batch, bool]]:
        """Yields batches whose rows are a multiple of `multiple`, filled up with padding.

        The second of a pair is True: every row starts here.
        """
        rows = -(-self._rows // multiple) * multiple
        for group, items in enumerate(self._examples.groups):
            for first in range(0, len(items), self._rows):
                chosen = np.full(rows, PADDING, np.int64)
                part = items[first : first + self._rows]
                chosen[: len(part)] = part
                yield self._examples.make(chosen, group), True
