"""Batches as a function of the step: crops, windows, streams; the rest is in packing.py."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from seqmodels.config.data import Batching, TextDataConfig
from seqmodels.config.errors import UserError
from seqmodels.data import order
from seqmodels.data.store import TokenSplit
from seqmodels.types import Batch


class BatchSource(Protocol):
    """The batches of one split; a batch depends on the settings, the seed and its step alone.

    Attributes:
      batch_size: B, global.
      batches_per_epoch: the same every epoch.
      carries_state: row r of a batch goes on where row r of the batch before it ended, so the model's
        carry runs on from step to step.
      shapes: every (B, T) that a batch can have, at most 8.
    """

    batch_size: int
    batches_per_epoch: int
    carries_state: bool
    shapes: tuple[tuple[int, int], ...]

    def position(self, step: int) -> tuple[int, int]:
        """Returns the epoch of a step and its index in that epoch, both from 0; steps count from 1."""
        ...

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        """Returns `rows` of the batch that turns state step - 1 into state step, as numpy arrays."""
        ...


class _Source:
    carries_state = False

    def __init__(self, split: TokenSplit, batch_size: int, sequence_length: int, seed: int) -> None:
        self._tokens = np.asarray(split.tokens)  # a plain view: np.memmap indexes more slowly
        self.batch_size, self._length, self._seed = batch_size, sequence_length, seed
        self.shapes: tuple[tuple[int, int], ...] = ((batch_size, sequence_length),)
        self.batches_per_epoch = 1

    def position(self, step: int) -> tuple[int, int]:
        if step < 1:
            raise ValueError(f"steps count from 1, got {step}")
        return divmod(step - 1, self.batches_per_epoch)

    def _cut(self, starts: np.ndarray) -> np.ndarray:
        """Returns tokens [b, T + 1] int32 from `starts` [b] on."""
        return self._tokens[starts[:, None] + np.arange(self._length + 1)].astype(np.int32)


class Crops(_Source):
    """Rows that start at random tokens, drawn anew for each step.

    An epoch is as many batches as there are targets for, rounded up; a crop heeds no epoch.
    """

    def __init__(self, split: TokenSplit, batch_size: int, sequence_length: int, seed: int) -> None:
        super().__init__(split, batch_size, sequence_length, seed)
        self._num_starts = len(self._tokens) - sequence_length
        self.batches_per_epoch = -(-(len(self._tokens) - 1) // (batch_size * sequence_length))

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        self.position(step)
        drawn = order.draw(self._seed, "crops", step, self.batch_size)
        # The remainder's bias is num_starts / 2**64.
        tokens = self._cut((drawn[rows] % np.uint64(self._num_starts)).astype(np.int64))
        targets = tokens[:, 1:]
        return Batch(tokens[:, :-1], targets, np.ones(targets.shape, np.float32))


def make_source(split: TokenSplit, config: TextDataConfig, seed: int, name: str) -> BatchSource:
    """Returns the source that config.batching names.

    Args:
      split: the tokens.
      config: batching, batch_size and sequence_length are read.
      seed: of the run.
      name: of the split, for errors.

    Raises:
      UserError: the split is too short.
    """
    size, length = config.batch_size, config.sequence_length
    if len(split.tokens) <= length:
        raise UserError(
            f"data.sequence_length={length}: the {name} split has {len(split.tokens)} tokens; "
            f"at most {len(split.tokens) - 1}"
        )
    kinds = {Batching.CROPS: Crops}
    return kinds[config.batching](split, size, length, seed)
