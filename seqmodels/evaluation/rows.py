"""What of a split is evaluated, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.config.training import EvaluationConfig, EvaluationContext
from seqmodels.data.common import ExampleData
from seqmodels.data.pipeline import Data, TextData, TokenSplit
from seqmodels.decoding.prefill import position_limit
from seqmodels.evaluation.contexts import make_batches, make_plan
from seqmodels.types import Batch


@runtime_checkable
class Rows(Protocol):
    """The rows of an evaluation, in batches.

    Attributes:
      num_batches: how many.
      carries_state: a row may go on where it ended in the batch before.
      num_bytes: UTF-8 bytes of the targets yielded so far; None where they are not to be had.
      context: what a model sees before a target; None where that is no matter of choice.
    """

    num_batches: int
    carries_state: bool
    num_bytes: float | None
    context: str | None

    def batches(self, multiple: int) -> Iterator[tuple[Batch, bool]]:
        """Yields batches whose rows are a multiple of `multiple`, filled up with padding.

        The second of a pair: whether the rows start here or go on from the batch before.
        """
        ...


def make_rows(data: Data, split: str, config: EvaluationConfig, task: Any, seed: int) -> Rows:
    """Returns the rows of a split.

    Args:
      seed: of the crops, and of what the task does to rows.

    Raises:
      UserError: no such split, or one without a target.
    """
    find_split(data, split)
    if isinstance(data, TextData):
        return TextRows(data, split, config, task, seed)
    assert isinstance(data, ExampleData)
    return data.rows(split, config.batch_size)


class TextRows:
    """Rows of a text, cut as `evaluation.context` says; see `contexts`."""

    def __init__(
        self, data: TextData, split: str, config: EvaluationConfig, task: Any, seed: int
    ) -> None:
        self._tokens, self._tokenizer = data.splits[split].tokens, data.tokenizer
        self._plan = make_plan(len(self._tokens), config, seed)
        self._task, self._seed = task, seed
        self.num_batches = self._plan.num_batches
        self.carries_state = config.context is EvaluationContext.CARRY
        self.num_bytes: float | None = 0.0 if data.tokenizer.lossless else None
        self.context: str | None = config.context.value

    def batches(self, multiple: int) -> Iterator[tuple[Batch, bool]]:
        """Yields what the task makes of the rows of next-token prediction."""
        plan = self._plan
        rows = -(-plan.rows // multiple) * multiple
        for number, (batch, starts) in enumerate(make_batches(self._tokens, plan, rows)):
            first = number // plan.num_chunks * plan.rows
            batch = self._task.make_rows(batch, first, self._tokenizer, self._seed)
            self._count_bytes(batch)
            yield batch, starts

    def _count_bytes(self, batch: Batch) -> None:
        """Gives up once the tokenizer lost one of the counted targets."""
        targets, unknown = batch.targets[batch.loss_weights > 0], self._tokenizer.unknown_id
        if unknown is not None and (targets == unknown).any():
            self.num_bytes = None
        if self.num_bytes is not None:
            self.num_bytes += float(self._tokenizer.byte_lengths[targets].sum(dtype=np.int64))


def find_split(data: Data, split: str) -> Any:
    """Returns a split that has at least one target.

    Raises:
      UserError: there is none.
    """
    if split not in data.splits:
        names = ", ".join(data.splits)
        raise UserError(f"--split={split}: the data has no such split; one of: {names}")
    found = data.splits[split]
    if isinstance(found, TokenSplit) and len(found.tokens) < 2:
        count = len(found.tokens)
        raise UserError(f"split {split} has {count} token{'s' * (count != 1)}: nothing to predict")
    return found


def check_context(model: Any, data: Data, config: EvaluationConfig) -> None:
    """Refuses to evaluate text in a context that the model does not bear.

    Raises:
      UserError: context `carry`, or a window longer than its positions, for a bounded model.
    """
    limit = position_limit(model) if isinstance(data, TextData) else None
    if limit is None:
        return
    if config.context is EvaluationContext.CARRY:
        raise UserError(
            f"evaluation.context=carry: the cache of a {model.config.kind} is bounded; "
            "use window or sliding"
        )
    if config.sequence_length > limit:
        raise UserError(
            f"evaluation.sequence_length={config.sequence_length}: the model has "
            f"max_length = {limit}"
        )
