"""Streams of text for language modelling, in batches."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.config.data import Batching
from seqmodels.config.errors import UserError, an
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import TokensConfig
from seqmodels.config.training import EvaluationConfig, EvaluationContext
from seqmodels.data.common import check_shapes, get_split, open_dataset
from seqmodels.data.contexts import make_batches, make_plan
from seqmodels.data.features.tokens import Tokens, read_tokenizer
from seqmodels.data.packing import Buckets, Packed
from seqmodels.data.sources import Crops, Streams, Windows
from seqmodels.data.store import cache_directory
from seqmodels.data.token_store import TextSource, TokenSplit, open_tokens
from seqmodels.data.tokenizers import TOKENIZER_FILE, load_tokenizer
from seqmodels.protocols import BatchSource, Features, Task
from seqmodels.types import Batch, DataSpec, Tokenizer

_SOURCES = {
    Batching.CROPS: Crops,
    Batching.WINDOWS: Windows,
    Batching.STREAMS: Streams,
    Batching.PACKED: Packed,
    Batching.BUCKETS: Buckets,
}
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class TextData:
    """Tokenised text of one data set; see `protocols.Data`.

    Attributes:
      tokenizer: made from the training split, or the run's.
      fingerprint: sha256 over tokens and offsets of all splits and the tokenizer.
    """

    spec: DataSpec
    features: Features
    tokenizer: Tokenizer
    fingerprint: str
    splits: dict[str, TokenSplit]
    where: str
    notes: list[str]
    task: Task

    features_file = TOKENIZER_FILE

    @classmethod
    def load(
        cls, config: ExperimentConfig, task: Task, features: Features | None = None
    ) -> TextData:
        """Opens the data of an experiment, tokenising them first where the cache lacks them.

        Args:
          config: of the experiment; its data section is read.
          task: of the experiment.
          features: of a run, to be used instead of a tokenizer made from the training split.

        Raises:
          UserError: names the field, file or symbol at fault.
        """
        settings: Any = config.data  # a TextDataConfig: the registry has chosen this class by it
        dataset = open_dataset(settings)
        read = functools.cache(dataset.splits)
        column = settings.feature
        source = TextSource(
            lambda: f"{dataset.fingerprint()} {column}",
            lambda: {split: columns[column] for split, columns in read().items()},
            dataset.description,
        )
        given = read_tokenizer(settings) if features is None else tokenizer_of(features)
        entry = open_tokens(source, settings, given, cache_directory(settings))
        for note in entry.notes:
            _log.warning("%s: %s", settings.name, note)
        found = as_features(entry.tokenizer)
        spec, where = task.make_spec(found), str(entry.where)
        return cls(
            spec, found, entry.tokenizer, entry.fingerprint, entry.splits, where, entry.notes, task
        )

    @classmethod
    def read_features(cls, path: Path, config: ExperimentConfig) -> Features:
        """Reads what a run kept."""
        del config
        return as_features(load_tokenizer(path))

    def save_features(self, path: Path) -> None:
        """Writes the tokenizer."""
        self.tokenizer.save(path)

    def check_split(self, split: str) -> None:
        """Raises UserError where there is no such split, or none with a target."""
        count = len(get_split(self.splits, split).tokens)
        if count < 2:
            plural = "s" * (count != 1)
            raise UserError(f"split {split} has {count} token{plural}: nothing to predict")

    def check_model(self, kind: str, limit: int | None, evaluation: EvaluationConfig) -> None:
        """Refuses to evaluate text in a context that a model does not allow.

        Args:
          kind: of the model.
          limit: its positions; None = any number.

        Raises:
          UserError: context `carry`, or a window longer than its positions, for a bounded model.
        """
        if limit is None:
            return
        if evaluation.context is EvaluationContext.CARRY:
            raise UserError(
                f"evaluation.context=carry: the cache of {an(kind)} is bounded; use window or "
                "sliding"
            )
        if evaluation.sequence_length > limit:
            raise UserError(
                f"evaluation.sequence_length={evaluation.sequence_length}: the model has "
                f"max_length = {limit}"
            )

    def batches(self, config: ExperimentConfig, split: str = "train") -> BatchSource:
        """Returns the batches of a split as `config.data` cuts them, ordered by the run's seed.

        Raises:
          UserError: the split is too short for sequence_length or batch_size.
        """
        settings: Any = config.data
        seed = config.training.seed
        found = get_split(self.splits, split)
        source = _SOURCES[settings.batching](
            found, settings.batch_size, settings.sequence_length, seed, split
        )
        check_shapes(source, config, "data.batching=buckets")
        return self.task.make_source(source, self.features, seed)

    def rows(self, split: str, evaluation: EvaluationConfig, seed: int) -> TextRows:
        """Returns the rows of an evaluation, cut as `evaluation.context` says."""
        return TextRows(self, split, evaluation, seed)

    def description(self) -> dict[str, Any]:
        """The fingerprint and the sizes: what a run keeps of the data it was trained on."""
        splits = {
            name: {
                "documents": split.num_documents,
                "characters": split.num_characters,
                "tokens": len(split.tokens),
            }
            for name, split in self.splits.items()
        }
        return {
            "fingerprint": self.fingerprint,
            "tokenizer": self.tokenizer.kind,
            "vocab_size": self.tokenizer.vocab_size,
            "splits": splits,
        }

    def summary(self) -> str:
        """The tokenizer in a few words."""
        return f"{self.tokenizer.kind} tokenizer, {self.tokenizer.vocab_size} symbols"


class TextRows:
    """Rows of a text, cut as `evaluation.context` says; see `contexts`."""

    def __init__(self, data: TextData, split: str, config: EvaluationConfig, seed: int) -> None:
        self._tokens, self._tokenizer = data.splits[split].tokens, data.tokenizer
        self._plan = make_plan(len(self._tokens), config, seed)
        self._data, self._seed = data, seed
        self.num_batches = self._plan.num_batches
        self.num_bytes: float | None = 0.0 if data.tokenizer.lossless else None
        self.context: str | None = config.context.value
        carries = config.context is EvaluationContext.CARRY
        self.num_streams = len(self._plan.starts) if carries else None

    def batches(self, multiple: int) -> Iterator[tuple[Batch, bool]]:
        """Yields what the task makes of the rows of next-token prediction."""
        plan, task = self._plan, self._data.task
        rows = -(-plan.rows // multiple) * multiple
        for number, (batch, starts) in enumerate(make_batches(self._tokens, plan, rows)):
            first = number // plan.num_chunks * plan.rows
            batch = task.make_rows(batch, first, self._data.features, self._seed)
            self._count_bytes(batch)
            yield batch, starts

    def _count_bytes(self, batch: Batch) -> None:
        """Gives up once the tokenizer lost one of the counted targets."""
        targets, unknown = batch.targets[batch.loss_weights > 0], self._tokenizer.unknown_id
        if unknown is not None and (targets == unknown).any():
            self.num_bytes = None
        if self.num_bytes is not None:
            self.num_bytes += float(self._tokenizer.byte_lengths[targets].sum(dtype=np.int64))


def as_features(tokenizer: Tokenizer) -> Features:
    """The features of a stream: tokens, which are inputs and targets."""
    return {"inputs": Tokens(TokensConfig(), tokenizer, starts=True)}


def tokenizer_of(features: Features) -> Tokenizer:
    """The tokenizer of a stream."""
    tokens = features["inputs"]
    assert isinstance(tokens, Tokens)
    return tokens.tokenizer
