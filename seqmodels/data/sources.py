"""Batches as a function of the step: crops, windows, streams. packing.py has packed and buckets."""

from __future__ import annotations

import functools

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.data import order
from seqmodels.data.token_store import TokenSplit
from seqmodels.types import Batch


class TokenSource:
    """Base class of sources that cut batches from a stream of tokens.

    Args:
      split: the tokens.
      batch_size: B.
      sequence_length: T.
      seed: of the run.
      name: of the split, for errors.

    Raises:
      UserError: the split is too short.
    """

    carries_state = False

    def __init__(
        self, split: TokenSplit, batch_size: int, sequence_length: int, seed: int, name: str
    ) -> None:
        self._tokens = np.asarray(split.tokens)  # a plain view: np.memmap indexes more slowly
        self._num_targets = len(self._tokens) - 1
        if self._num_targets < sequence_length:
            raise UserError(
                f"data.sequence_length={sequence_length}: the {name} split has "
                f"{len(self._tokens)} tokens; at most {max(0, self._num_targets)}"
            )
        self._length, self._seed, self._name = sequence_length, seed, name
        self.batch_size = batch_size
        self.shapes: tuple[tuple[int, ...], ...] = ((batch_size, sequence_length),)
        self.batches_per_epoch = 1

    def position(self, step: int) -> tuple[int, int]:
        """Returns the epoch of a step and its index in that epoch, both from 0."""
        if step < 1:
            raise ValueError(f"steps count from 1, got {step}")
        return divmod(step - 1, self.batches_per_epoch)

    def _require_rows(self, available: int, what: str) -> None:
        if self.batch_size > available:
            raise UserError(
                f"data.batch_size={self.batch_size}: the {self._name} split has {available} "
                f"{what}; at most {available}"
            )

    def _cut(self, starts: np.ndarray) -> np.ndarray:
        """Returns tokens [b, T + 1] int32 from `starts` [b] on."""
        return self._tokens[starts[:, None] + np.arange(self._length + 1)].astype(np.int32)


class Crops(TokenSource):
    """Rows that start at random tokens, drawn for each step.

    An epoch is the number of targets in batches, rounded up; crops do not depend on the epoch.
    """

    def __init__(
        self, split: TokenSplit, batch_size: int, sequence_length: int, seed: int, name: str
    ) -> None:
        super().__init__(split, batch_size, sequence_length, seed, name)
        self.batches_per_epoch = -(-self._num_targets // (batch_size * sequence_length))

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        """Returns `rows` of the batch of a step."""
        self.position(step)
        drawn = order.draw(self._seed, "crops", step, self.batch_size)[rows]
        num_starts = np.uint64(len(self._tokens) - self._length)
        tokens = self._cut((drawn % num_starts).astype(np.int64))  # bias: num_starts / 2**64
        targets = tokens[:, 1:]
        return Batch(tokens[:, :-1], targets, np.ones(targets.shape, np.float32))


class Windows(TokenSource):
    """The split cut into windows, which each epoch shuffles.

    Every target comes exactly once per epoch. The first cut is at another place in each epoch (its
    phase), so that no token is always at a boundary. The short windows at both ends are filled up
    with neighbours of weight 0, and the number of rows is that of the worst phase. Every batch has
    a target.
    """

    def __init__(
        self, split: TokenSplit, batch_size: int, sequence_length: int, seed: int, name: str
    ) -> None:
        super().__init__(split, batch_size, sequence_length, seed, name)
        whole, rest = divmod(self._num_targets, sequence_length)
        self._require_rows(whole + (rest > 0), f"windows of {sequence_length}")
        self._num_windows = whole + (sequence_length > 1) + (rest > 1)
        self.batches_per_epoch = -(-self._num_windows // batch_size)
        self._plan = functools.lru_cache(maxsize=2)(self._make_plan)

    def _make_plan(self, epoch: int) -> np.ndarray:
        """Returns start, first and end of the counted columns, each [num_batches, B]."""
        length, seed = self._length, self._seed
        phase = 1 + int(order.draw(seed, "phase", epoch, 1)[0] % np.uint64(length))
        begin = phase + length * np.arange(-1, self._num_windows - 1)
        start = np.clip(begin, 0, self._num_targets - length)
        first, end = begin - start, np.minimum(begin + length, self._num_targets) - start
        first[0], end[0] = 0, phase
        first = np.minimum(first, length)  # first >= end: nothing is left for this row
        windows = np.stack([start, first, end])
        shuffled = order.permutation(seed, "windows", epoch, self._num_windows)
        chosen = order.deal(shuffled, self.batch_size)
        plan = np.where(chosen >= 0, windows[:, chosen], 0)
        if not (plan[1] < plan[2]).any(axis=1).all():
            # A batch has the one window that this phase does without: it takes half of another's.
            most = int(np.argmax(end - first))
            middle = (first[most] + end[most]) // 2
            windows[:, -1] = start[most], middle, end[most]
            windows[2, most] = middle
            plan = np.where(chosen >= 0, windows[:, chosen], 0)
        return plan

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        """Returns `rows` of the batch of a step."""
        epoch, index = self.position(step)
        start, first, end = self._plan(epoch)[:, index, rows]
        tokens = self._cut(start)
        column = np.arange(self._length)
        counted = (column >= first[:, None]) & (column < end[:, None])
        return Batch(tokens[:, :-1], tokens[:, 1:], counted.astype(np.float32))


class Streams(TokenSource):
    """batch_size contiguous streams that run through the split, for a carry that runs on.

    Row r holds targets r M / B .. (r + 1) M / B - 1 of the split's M, so every target comes exactly
    once an epoch; a stream's last batch is filled up with padding. The segment id is epoch + 1: the
    model starts afresh where an epoch does, and nowhere else.
    """

    carries_state = True

    def __init__(
        self, split: TokenSplit, batch_size: int, sequence_length: int, seed: int, name: str
    ) -> None:
        super().__init__(split, batch_size, sequence_length, seed, name)
        self._require_rows(self._num_targets // sequence_length, f"streams of {sequence_length}")
        self._bounds = np.arange(batch_size + 1) * self._num_targets // batch_size
        longest = int(np.diff(self._bounds).max())
        self.batches_per_epoch = -(-longest // sequence_length)

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        """Returns `rows` of the batch of a step."""
        epoch, index = self.position(step)
        start = self._bounds[:-1][rows, None] + index * self._length
        at = start + np.arange(self._length)
        real = at < self._bounds[1:][rows, None]
        at = np.minimum(at, self._num_targets - 1)
        inputs, targets = (
            np.where(real, self._tokens[i].astype(np.int32), 0) for i in (at, at + 1)
        )
        segments = np.where(real, np.int32(epoch + 1), np.int32(0))
        return Batch(inputs, targets, real.astype(np.float32), segments)
