"""Tokens hidden from a model that is to guess them: the 80/10/10 rule of BERT."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import UInt64

from seqmodels.data import order
from seqmodels.protocols import BatchSource
from seqmodels.types import Batch, Tokenizer

_NUM_DRAWS = 3  # per token: whether it is chosen, what it becomes, which random token


def mask_token(tokenizer: Tokenizer) -> int:
    """The tokenizer's own mask token, or else the one after its vocabulary."""
    return tokenizer.vocab_size if tokenizer.mask_id is None else tokenizer.mask_id


@dataclasses.dataclass(frozen=True)
class Masking:
    """Chooses tokens of each row and changes most of them.

    Of the n tokens that count in a row, max(1, round(rate n)) are chosen; each of them becomes the
    mask token (share `mask_share`), a random token (`random_share`) or stays.
    Source: Devlin et al., 2019, arXiv:1810.04805.

    Attributes:
      mask_id: the mask token.
      num_tokens: random tokens are 0..num_tokens - 1.
      rate, mask_share, random_share: see above.
    """

    mask_id: int
    num_tokens: int
    rate: float
    mask_share: float
    random_share: float

    def __call__(self, batch: Batch, draws: UInt64[np.ndarray, "b draws T"]) -> Batch:
        """Masks a batch of next-token prediction: a token counts where its successor is a target.

        Args:
          batch: numpy arrays [b, T].
          draws: random numbers, [b, 3, T].

        Returns:
          The batch with masked inputs, their originals as targets, and weight 1 at the chosen.
        """
        place, kind, other = draws[:, 0], draws[:, 1], draws[:, 2]
        counts = batch.loss_weights > 0
        turn = np.argsort(np.where(counts, place >> np.uint64(1), ~np.uint64(0)), axis=1)
        rank = np.argsort(turn, axis=1)
        size = counts.sum(axis=1)
        wanted = np.where(size > 0, np.maximum(1, np.round(self.rate * size)), 0)
        chosen = rank < wanted[:, None]
        share = (kind >> np.uint64(11)) * 2.0**-53  # uniform in [0, 1)
        hidden = chosen & (share < self.mask_share)
        swapped = chosen & ~hidden & (share < self.mask_share + self.random_share)
        others = (other % np.uint64(self.num_tokens)).astype(np.int32)  # bias: num_tokens / 2**64
        inputs = np.where(hidden, self.mask_id, np.where(swapped, others, batch.inputs))
        return dataclasses.replace(
            batch,
            inputs=inputs.astype(np.int32),
            targets=batch.inputs,
            loss_weights=chosen.astype(np.float32),
        )

    def fixed(self, batch: Batch, first: int, seed: int) -> Batch:
        """Masks rows first, first + 1, .. of an evaluation, each by its number and the seed."""
        rows, length = batch.inputs.shape
        draws = [
            order.draw(seed, "masking in evaluation", first + row, _NUM_DRAWS * length)
            for row in range(rows)
        ]
        return self(batch, np.stack(draws).reshape(rows, _NUM_DRAWS, length))


class Masked:
    """The batches of another source, with new masks at each step.

    Args:
      source: batches of next-token prediction.
      masking: what is done to them.
      seed: of the run.
    """

    def __init__(self, source: BatchSource, masking: Masking, seed: int) -> None:
        self._source, self._masking, self._seed = source, masking, seed
        self.batch_size = source.batch_size
        self.batches_per_epoch = source.batches_per_epoch
        self.carries_state = source.carries_state
        self.shapes = source.shapes

    def position(self, step: int) -> tuple[int, int]:
        """Returns the epoch of a step and its index in that epoch, both from 0."""
        return self._source.position(step)

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        """Returns `rows` of the batch of a step."""
        batch = self._source.batch(step, rows)
        shape = (self.batch_size, _NUM_DRAWS, batch.inputs.shape[1])
        draws = order.draw(self._seed, "masking", step, int(np.prod(shape))).reshape(shape)
        return self._masking(batch, draws[rows])
