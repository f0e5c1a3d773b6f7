"""Rows of a text for evaluation, which decide the context that a model sees before each target.

A split is one text of N tokens; its targets are tokens 1..N-1 for every model. A plan is a list of
rows. Row r reads tokens starts[r] .. stops[r] - 1 and predicts the token after each of them. The
predictions made at tokens firsts[r] .. stops[r] - 1 count; those before are only context.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from jaxtyping import Int, Integer

from seqmodels.config.training import EvaluationConfig, EvaluationContext
from seqmodels.types import Batch

# Warm-up of a stream after the first, in tokens: longer than any n-gram's context, so that cutting
# a text into streams changes nothing for an n-gram.
MIN_WARMUP = 256


@dataclasses.dataclass(frozen=True)
class Plan:
    """Rows of one split.

    Attributes:
      starts, firsts, stops: see the module docstring.
      rows: rows in one batch.
      width: tokens of a row in one batch. A stream is longer and continues in the next batch.
      num_chunks: number of batches along a row; 1 unless the rows are streams.
    """

    starts: Int[np.ndarray, " R"]
    firsts: Int[np.ndarray, " R"]
    stops: Int[np.ndarray, " R"]
    rows: int
    width: int
    num_chunks: int = 1

    @property
    def num_batches(self) -> int:
        return -(-len(self.starts) // self.rows) * self.num_chunks


def make_plan(num_tokens: int, config: EvaluationConfig, seed: int) -> Plan:
    """Plans the evaluation of a split of `num_tokens` >= 2 tokens."""
    match config.context:
        case EvaluationContext.CARRY:
            return _streams(num_tokens, config)
        case EvaluationContext.WINDOW:
            return _windows(num_tokens, config, config.sequence_length)
        case EvaluationContext.SLIDING:
            # The second half of each window counts, including the middle of an odd length.
            stride = config.sequence_length - config.sequence_length // 2
            return _windows(num_tokens, config, stride)
        case EvaluationContext.CROPS:
            return _crops(num_tokens, config, seed)


def _windows(num_tokens: int, config: EvaluationConfig, stride: int) -> Plan:
    """Plans windows every `stride` tokens; each counts the targets that the previous one lacks."""
    length, last = config.sequence_length, num_tokens - 1
    count = 1 + max(0, -(-(last - length) // stride))
    starts = np.arange(count, dtype=np.int64) * stride
    stops = np.minimum(starts + length, last)
    firsts = np.concatenate([np.zeros(1, np.int64), stops[:-1]])
    return Plan(starts, firsts, stops, min(config.batch_size, count), length)


def _crops(num_tokens: int, config: EvaluationConfig, seed: int) -> Plan:
    """Plans random rows, drawn from a separate stream so that training does not affect them."""
    length, last = config.sequence_length, num_tokens - 1
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 0xE7A1])))
    starts = generator.integers(0, max(last - length, 0) + 1, config.num_crops, dtype=np.int64)
    stops = np.minimum(starts + length, last)
    return Plan(starts, starts, stops, min(config.batch_size, config.num_crops), length)


def _streams(num_tokens: int, config: EvaluationConfig) -> Plan:
    """Plans contiguous streams: as many as asked for, or as keep the warm-up below half the work.

    The first stream has no warm-up, so it counts more targets; all have the same length:
    streams * length - (streams - 1) * warmup >= N - 1. Neither depends on the batch size, which
    decides how much of them is read at once.
    """
    window, last = config.sequence_length, num_tokens - 1
    warmup = max(window, MIN_WARMUP)
    streams = max(1, min(config.num_streams, last // warmup - 1))
    length = -(-(last + (streams - 1) * warmup) // streams)
    starts = np.arange(streams, dtype=np.int64) * (length - warmup)
    stops = np.minimum(starts + length, last)
    firsts = np.concatenate([np.zeros(1, np.int64), stops[:-1]])
    rows = min(config.batch_size, streams)
    width = min(window * (config.batch_size // rows), length)
    return Plan(starts, firsts, stops, rows, width, -(-length // width))


def make_batches(
    tokens: Integer[np.ndarray, " N"], plan: Plan, rows: int
) -> Iterator[tuple[Batch, bool]]:
    """Cuts the batches of a plan, all of one shape.

    Args:
      rows: rows of a batch, at least plan.rows; the others are padding.

    Yields:
      A batch of numpy arrays [rows, plan.width], and whether its rows start here (True) or continue
      from the previous batch.
    """
    for first_row in range(0, len(plan.starts), plan.rows):
        chosen = slice(first_row, first_row + plan.rows)
        fill = rows - len(plan.starts[chosen])
        starts, firsts, stops = (
            np.concatenate([x[chosen], np.zeros(fill, np.int64)])[:, None]
            for x in (plan.starts, plan.firsts, plan.stops)
        )
        for chunk in range(plan.num_chunks):
            index = starts + chunk * plan.width + np.arange(plan.width)
            real = index < stops
            at = np.where(real, index, 0)
            batch = Batch(
                inputs=np.where(real, tokens[at], 0).astype(np.int32),
                targets=np.where(real, tokens[at + 1], 0).astype(np.int32),
                loss_weights=(real & (index >= firsts)).astype(np.float32),
                segment_ids=real.astype(np.int32),
            )
            yield batch, chunk == 0
