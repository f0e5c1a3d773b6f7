"""Pairs of texts, in batches."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.config.data import PairsDataConfig
from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.data import store
from seqmodels.data.common import (
    cache_directory,
    check_shapes,
    dataset_class,
    get_split,
    make_task,
    refuse_paths,
)
from seqmodels.data.datasets.pair_source import SIDES, Formed, PairSource, Sides
from seqmodels.data.examples import ExampleRows, Examples, ExampleSource, lay
from seqmodels.data.packing import choose_widths, ranges
from seqmodels.data.pair_tokenizer import PairTokenizer, read_pair_tokenizer
from seqmodels.data.sources import BatchSource
from seqmodels.data.store import TokenSplit
from seqmodels.types import Batch, DataSpec

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class PairSplit:
    """Tokens of one split: text i of the source goes with text i of the target.

    Attributes:
      source, target: the two sides.
      kept: numbers of the pairs that are not too long.
    """

    source: TokenSplit
    target: TokenSplit
    kept: np.ndarray

    @property
    def lengths(self) -> tuple[np.ndarray, np.ndarray]:
        """Tokens of the sources, and of the targets with their <eos>, of the pairs kept."""
        source, target = np.diff(self.source.offsets), np.diff(self.target.offsets) + 1
        return source[self.kept], target[self.kept]

    def sources(self) -> list[np.ndarray]:
        """Tokens of the sources of the pairs kept."""
        tokens, offsets = self.source.tokens, self.source.offsets
        return [tokens[offsets[i] : offsets[i + 1]] for i in self.kept]

    def count_targets(self, vocab_size: int, eos_id: int) -> np.ndarray:
        """How often each token is a target, [vocab_size]; <eos> once a pair."""
        starts, (_, lengths) = self.target.offsets[self.kept], self.lengths
        tokens = self.target.tokens[ranges(starts, lengths - 1)]
        counts = np.bincount(tokens, minlength=vocab_size)
        counts[eos_id] += len(self.kept)
        return counts


class PairExamples(Examples):
    """One pair a row. Pairs of like length make a group; its rows are padded to its longest.

    Inputs are <bos> and the target, targets are the target and <eos>. Padding has segment 0.

    Args:
      split: what is read.
      tokenizer: knows <bos> and <eos>.
      batch_size: what the groups are chosen for.
      max_shapes: most groups.
    """

    def __init__(
        self, split: PairSplit, tokenizer: PairTokenizer, batch_size: int, max_shapes: int
    ) -> None:
        self._split, self._bos, self._eos = split, tokenizer.bos_id, tokenizer.eos_id
        self._source_lengths, self._target_lengths = split.lengths
        total = self._source_lengths + self._target_lengths
        widths = choose_widths(total, batch_size, max_shapes)
        group = np.searchsorted(widths, total)
        self.groups = [np.flatnonzero(group == i) for i in range(len(widths))]
        self._shapes = [
            (int(self._target_lengths[items].max()), int(self._source_lengths[items].max()))
            for items in self.groups
        ]

    def shape(self, group: int) -> tuple[int, ...]:
        """T and S."""
        return self._shapes[group]

    def make(self, chosen: np.ndarray, group: int) -> Batch:
        """Inputs, targets, loss_weights and segment_ids [b, T]; source and its ids [b, S]."""
        real = np.flatnonzero(chosen >= 0)
        pairs, (width, source_width) = chosen[real], self._shapes[group]
        at, lengths = self._split.kept[pairs], self._target_lengths[pairs]
        source, source_segments = lay(
            self._split.source, at, self._source_lengths[pairs], real, (len(chosen), source_width)
        )
        texts, _ = lay(self._split.target, at, lengths - 1, real, (len(chosen), width))
        segments = np.zeros((len(chosen), width), np.int32)
        segments[real] = np.arange(width)[None] < lengths[:, None]
        inputs = np.concatenate([np.full((len(chosen), 1), self._bos), texts[:, :-1]], axis=1)
        targets = texts.copy()
        targets[real, lengths - 1] = self._eos
        return Batch(
            np.where(segments > 0, inputs, 0).astype(np.int32),
            targets,
            segments.astype(np.float32),
            segments,
            source=source,
            source_segment_ids=source_segments,
        )


@dataclasses.dataclass(frozen=True)
class PairData:
    """Tokenised pairs of one data set; see `common.Data`.

    Attributes:
      encoding: the tokenizers of both sides.
      source: where the texts come from.
      max_shapes: of the batches of a split.
    """

    spec: DataSpec
    encoding: PairTokenizer
    fingerprint: str
    splits: dict[str, PairSplit]
    where: Path
    notes: list[str]
    source: PairSource
    max_shapes: int

    encoding_file = "tokenizer.json"

    @classmethod
    def load(cls, config: ExperimentConfig, encoding: PairTokenizer | None) -> PairData:
        """Opens the data of an experiment, tokenising them first where the cache lacks them.

        Args:
          config: of the experiment; its data section is read.
          encoding: of a run, to be used instead of one made from the training split.

        Raises:
          UserError: names the field, file or symbol at fault, or a held-out pair that is too long.
        """
        data = pairs_config(config)
        refuse_paths(data)
        source = Formed(dataset_class(data).source(data), data.form)
        sides, tokenizer, entries = _open_sides(source, data, encoding)
        notes = [note for entry in entries for note in entry.notes]
        names = dict.fromkeys(name.partition(".")[0] for name in entries[0].splits)
        splits = {}
        for name in names:
            split = PairSplit(sides[f"{name}.source"], sides[f"{name}.target"], np.arange(0))
            splits[name], note = _keep(split, name, data, source)
            notes += [note] if note else []
        for note in notes:
            _log.warning("%s: %s", data.name, note)
        prints = [entry.fingerprint for entry in entries]
        fingerprint = prints[0]
        if len(prints) > 1:
            fingerprint = hashlib.sha256(" ".join(prints).encode()).hexdigest()
        spec = make_task(config).make_spec(tokenizer)
        where, shapes = entries[0].where, data.max_shapes
        return cls(spec, tokenizer, fingerprint, splits, where, notes, source, shapes)

    @classmethod
    def read_encoding(cls, path: Path) -> PairTokenizer:
        """Reads what a run kept."""
        return read_pair_tokenizer(path)

    @classmethod
    def prepare(cls, data: PairsDataConfig) -> None:
        """Downloads what is missing, where the data set can."""
        dataset_class(data).prepare(data)

    def batches(self, config: ExperimentConfig, split: str = "train") -> BatchSource:
        """Returns the batches of a split: every pair once an epoch, in batches of like length.

        Raises:
          UserError: the split is smaller than a batch.
        """
        size, seed = config.data.batch_size, config.training.seed
        source = ExampleSource(self._examples(split, size), size, seed, split)
        check_shapes(source, config, f"data.max_shapes={self.max_shapes}")
        return make_task(config).make_source(source, self.encoding, seed)

    def rows(self, split: str, batch_size: int) -> ExampleRows:
        """Returns every pair of a split once, for evaluation."""
        return ExampleRows(self._examples(split, batch_size), batch_size)

    def texts(self, split: str) -> tuple[list[str], list[str]]:
        """Sources and targets as texts, in data.form, of the pairs kept, in their order."""
        kept = get_split(self.splits, split).kept
        sources, targets = self.source.pairs()[split]
        return [sources[i] for i in kept], [targets[i] for i in kept]

    def _examples(self, split: str, batch_size: int) -> PairExamples:
        found = get_split(self.splits, split)
        return PairExamples(found, self.encoding, batch_size, self.max_shapes)

    def description(self) -> dict[str, Any]:
        """The fingerprint and the sizes: what a run keeps of the data it was trained on."""
        splits = {
            name: {
                "pairs": len(split.kept),
                "source_tokens": int(split.lengths[0].sum()),
                "target_tokens": int(split.lengths[1].sum()),
            }
            for name, split in self.splits.items()
        }
        return {
            "fingerprint": self.fingerprint,
            "tokenizer": self.encoding.target.kind,
            "source_vocab_size": self.encoding.source_input.vocab_size,
            "vocab_size": self.encoding.target_input.vocab_size,
            "splits": splits,
        }

    def summary(self) -> str:
        """The encoding in a few words."""
        source, target = self.encoding.source_input, self.encoding.target_input
        return (
            f"{self.encoding.target.kind} tokenizer, {source.vocab_size} symbols of the source, "
            f"{target.vocab_size} of the target"
        )


def pairs_config(config: ExperimentConfig) -> PairsDataConfig:
    """Returns config.data, which must be of kind pairs."""
    if not isinstance(config.data, PairsDataConfig):
        raise UserError(f"data.kind={config.data.kind}: this needs data of kind pairs")
    return config.data


def _open_sides(
    source: PairSource, config: PairsDataConfig, encoding: PairTokenizer | None
) -> tuple[dict[str, TokenSplit], PairTokenizer, list[store.Entry]]:
    """Returns the splits of both sides by 'split.side', the tokenizers, and the store's entries."""
    cache = cache_directory(config)
    if config.shared_vocabulary:
        given = None if encoding is None else encoding.target
        entries = [store.open_entry(Sides(source, SIDES), config, given, cache)]
    else:
        givens = (None, None) if encoding is None else (encoding.source, encoding.target)
        entries = [
            store.open_entry(Sides(source, (side,)), config, given, cache)
            for side, given in zip(SIDES, givens, strict=True)
        ]
    tokenizer = PairTokenizer(
        entries[0].tokenizer, entries[-1].tokenizer, shared=config.shared_vocabulary
    )
    return {n: s for entry in entries for n, s in entry.splits.items()}, tokenizer, entries


def _keep(
    split: PairSplit, name: str, config: PairsDataConfig, source: PairSource
) -> tuple[PairSplit, str | None]:
    """Leaves out the pairs of the training split that are too long; refuses them elsewhere."""
    whole = dataclasses.replace(split, kept=np.arange(split.source.num_documents))
    most = {"source": config.max_source_length, "target": config.max_target_length}
    lengths = dict(zip(SIDES, whole.lengths, strict=True))
    fits = np.all([lengths[side] <= most[side] for side in SIDES], axis=0)
    if fits.all():
        return whole, None
    if name == "train" and fits.any():
        left = f"{(~fits).sum()} of {len(fits)} pairs of the train split are longer than"
        return dataclasses.replace(split, kept=np.flatnonzero(fits)), (
            f"{left} data.max_source_length or data.max_target_length and left out"
        )
    first = int(np.flatnonzero(~fits)[0])
    side = next(side for side in SIDES if lengths[side][first] > most[side])
    longest = int(lengths[side].max())
    raise UserError(
        f"data.max_{side}_length={most[side]}: the {side} of {source.name(name, first)} has "
        f"{int(lengths[side][first])} tokens; the longest of the {name} split has {longest}"
    )
