"""Texts with a class each, in batches."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.config.errors import UserError, suggest
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.labelled import LabelledTextDataConfig
from seqmodels.data import store
from seqmodels.data.common import (
    cache_directory,
    check_shapes,
    dataset_class,
    get_split,
    make_task,
    refuse_paths,
)
from seqmodels.data.datasets.labelled_source import LabelledSource, LabelledTexts, Texts
from seqmodels.data.examples import ExampleRows, Examples, ExampleSource, lay
from seqmodels.data.packing import choose_widths, ranges
from seqmodels.data.sources import BatchSource
from seqmodels.data.store import TokenSplit
from seqmodels.data.text import read_tokenizer
from seqmodels.data.text_labels import TextLabels, read_text_labels
from seqmodels.types import Batch, DataSpec

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class LabelledSplit:
    """Tokens and classes of one split; only the texts that are kept.

    Attributes:
      texts: all texts.
      kept: numbers of those that are not too long, [n].
      labels: class of each, int32 [n].
      lengths: tokens of each, those that are cut off apart, [n].
    """

    texts: TokenSplit
    kept: np.ndarray
    labels: np.ndarray
    lengths: np.ndarray

    def tokens(self) -> tuple[np.ndarray, np.ndarray]:
        """All tokens of the texts kept, joined, and the number of the text of each."""
        at = ranges(self.texts.offsets[self.kept], self.lengths)
        return self.texts.tokens[at], np.repeat(np.arange(len(self.kept)), self.lengths)


class LabelledExamples(Examples):
    """One text a row. Texts of like length make a group; its rows are padded to its longest.

    Padding has segment 0.

    Args:
      split: what is read.
      start: tokens that every row begins with.
      batch_size: what the groups are chosen for.
      max_shapes: most groups.
    """

    def __init__(
        self, split: LabelledSplit, start: np.ndarray, batch_size: int, max_shapes: int
    ) -> None:
        self._split, self._start = split, start
        lengths = split.lengths + len(start)
        self._widths = choose_widths(lengths, batch_size, max_shapes)
        group = np.searchsorted(self._widths, lengths)
        self.groups = [np.flatnonzero(group == i) for i in range(len(self._widths))]

    def shape(self, group: int) -> tuple[int, ...]:
        """T."""
        return (int(self._widths[group]),)

    def make(self, chosen: np.ndarray, group: int) -> Batch:
        """Inputs and segment_ids [b, T], targets and loss_weights [b]."""
        real = np.flatnonzero(chosen >= 0)
        at, before = chosen[real], len(self._start)
        shape = (len(chosen), int(self._widths[group]) - before)
        lengths = self._split.lengths[at]
        texts, ids = lay(self._split.texts, self._split.kept[at], lengths, real, shape)
        inputs, segments = (np.zeros((len(chosen), before), np.int32) for _ in range(2))
        inputs[real], segments[real] = self._start, 1
        targets = np.zeros(len(chosen), np.int32)
        targets[real] = self._split.labels[at]
        return Batch(
            np.concatenate([inputs, texts], axis=1),
            targets,
            (chosen >= 0).astype(np.float32),
            np.concatenate([segments, ids], axis=1),
        )


@dataclasses.dataclass(frozen=True)
class LabelledData:
    """Tokenised texts with classes of one data set; see `common.Data`.

    Attributes:
      encoding: the tokenizer and the names of the classes.
      max_shapes: of the batches of a split.
    """

    spec: DataSpec
    encoding: TextLabels
    fingerprint: str
    splits: dict[str, LabelledSplit]
    where: Path
    notes: list[str]
    max_shapes: int

    encoding_file = "tokenizer.json"

    @classmethod
    def load(cls, config: ExperimentConfig, encoding: TextLabels | None) -> LabelledData:
        """Opens the data of an experiment, tokenising them first where the cache lacks them.

        Args:
          config: of the experiment; its data section is read.
          encoding: of a run, to be used instead of one made from the training split.

        Raises:
          UserError: names the field, file or symbol at fault, a class that is not known or has no
            example, or a held-out text that is too long.
        """
        data = labelled_config(config)
        refuse_paths(data)
        source, cache = dataset_class(data).source(data), cache_directory(data)
        texts = Texts(source)
        tokenizer = read_tokenizer(data) if encoding is None else encoding.tokenizer
        entry = store.open_entry(texts, data, tokenizer, cache)
        found = _open_classes(texts, cache, entry)
        fresh = encoding is None
        if encoding is None:
            names = _choose_names(found, data.name)
            encoding = TextLabels(entry.tokenizer, names, data.class_token)
        splits, notes = {}, list(entry.notes)
        for name, split in entry.splits.items():
            labels = _number(found.splits[name], encoding.names, name, source)
            splits[name], said = _keep(split, labels, name, data, encoding, source)
            notes += said
        if fresh:
            _refuse_untrained(splits["train"], encoding.names, data)
        for note in notes:
            _log.warning("%s: %s", data.name, note)
        digest = hashlib.sha256(f"{entry.fingerprint} {encoding.names}".encode())
        for split in splits.values():
            digest.update(split.labels.tobytes())
        spec, where = make_task(config).make_spec(encoding), entry.where
        return cls(spec, encoding, digest.hexdigest(), splits, where, notes, data.max_shapes)

    @classmethod
    def read_encoding(cls, path: Path) -> TextLabels:
        """Reads what a run kept."""
        return read_text_labels(path)

    @classmethod
    def prepare(cls, data: LabelledTextDataConfig) -> None:
        """Downloads what is missing, where the data set can."""
        dataset_class(data).prepare(data)

    def batches(self, config: ExperimentConfig, split: str = "train") -> BatchSource:
        """Returns the batches of a split: every text once an epoch, in batches of like length.

        Raises:
          UserError: the split is smaller than a batch.
        """
        size, seed = config.data.batch_size, config.training.seed
        source = ExampleSource(self._examples(split, size), size, seed, split)
        check_shapes(source, config, f"data.max_shapes={self.max_shapes}")
        return make_task(config).make_source(source, self.encoding, seed)

    def rows(self, split: str, batch_size: int) -> ExampleRows:
        """Returns every text of a split once, for evaluation."""
        return ExampleRows(self._examples(split, batch_size), batch_size)

    def _examples(self, split: str, batch_size: int) -> LabelledExamples:
        found = get_split(self.splits, split)
        return LabelledExamples(found, self.encoding.start, batch_size, self.max_shapes)

    def description(self) -> dict[str, Any]:
        """The fingerprint and the sizes: what a run keeps of the data it was trained on."""
        splits = {
            name: {"examples": len(split.kept), "tokens": int(split.lengths.sum())}
            for name, split in self.splits.items()
        }
        return {
            "fingerprint": self.fingerprint,
            "tokenizer": self.encoding.tokenizer.kind,
            "vocab_size": self.encoding.inputs.vocab_size,
            "num_classes": len(self.encoding.names),
            "splits": splits,
        }

    def summary(self) -> str:
        """The encoding in a few words."""
        kind, size = self.encoding.tokenizer.kind, self.encoding.inputs.vocab_size
        return f"{kind} tokenizer, {size} symbols, {len(self.encoding.names)} classes"


def labelled_config(config: ExperimentConfig) -> LabelledTextDataConfig:
    """Returns config.data, which must be of kind labelled."""
    if not isinstance(config.data, LabelledTextDataConfig):
        raise UserError(f"data.kind={config.data.kind}: this needs data of kind labelled")
    return config.data


@dataclasses.dataclass(frozen=True)
class _Classes:
    """Names of the classes that a data set declares, and of those of each example."""

    declared: tuple[str, ...] | None
    splits: dict[str, list[str]]


def _open_classes(texts: Texts, cache: Path, entry: store.Entry) -> _Classes:
    """Returns the classes of the texts of a store's entry; keeps them beside it, as JSON."""
    key = hashlib.sha256(texts.fingerprint().encode()).hexdigest()
    path = cache / "labels" / f"{key[:32]}.json"
    counts = {name: split.num_documents for name, split in entry.splits.items()}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if hashlib.sha256(json.dumps(values["classes"]).encode()).hexdigest() == values["sha256"]:
            declared, splits = values["classes"]
            if {name: len(labels) for name, labels in splits.items()} == counts:
                return _Classes(None if declared is None else tuple(declared), splits)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there, or damaged: made anew
    found: LabelledTexts = texts.found
    splits = {name: labels for name, (_, labels) in found.splits.items()}
    values = [found.classes, splits]
    digest = hashlib.sha256(json.dumps(values).encode()).hexdigest()
    with store.explain_cache_errors(cache):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        partial.write_text(json.dumps({"sha256": digest, "classes": values}), encoding="utf-8")
        partial.replace(path)
    return _Classes(found.classes, splits)


def _choose_names(found: _Classes, data_name: str) -> tuple[str, ...]:
    """The classes in their order: as declared, else those of the training split, sorted."""
    trained = set(found.splits["train"])
    names = tuple(sorted(trained, key=_order)) if found.declared is None else found.declared
    missing = [name for name in names if name not in trained]
    if missing:
        raise UserError(
            f"data.name={data_name}: class {missing[0]!r} has no example in the train split; "
            f"its classes are {', '.join(sorted(trained, key=_order))}"
        )
    if len(names) < 2:
        raise UserError(
            f"data.name={data_name}: all examples of the train split are of the class "
            f"{next(iter(trained))!r}; there must be two classes or more"
        )
    return names


def _refuse_untrained(
    train: LabelledSplit, names: tuple[str, ...], config: LabelledTextDataConfig
) -> None:
    """Raises UserError where all examples of a class were left out."""
    absent = np.setdiff1d(np.arange(len(names)), train.labels)
    if len(absent):
        raise UserError(
            f"data.max_length={config.max_length}: all examples of class {names[absent[0]]!r} in "
            "the train split are longer and left out; data.cut_long=true keeps their first tokens"
        )


def _order(name: str) -> tuple[int, str]:
    """Whole numbers by their value, before other names."""
    return (int(name), name) if name.isascii() and name.isdecimal() else (1 << 62, name)


def _number(
    labels: list[str], names: tuple[str, ...], split: str, source: LabelledSource
) -> np.ndarray:
    """Returns the classes of a split by number, int32."""
    numbers = {name: number for number, name in enumerate(names)}
    found = np.array([numbers.get(label, -1) for label in labels], np.int32)
    if (found < 0).any():
        first = int(np.flatnonzero(found < 0)[0])
        label = labels[first]
        raise UserError(
            f"{source.name(split, first)}: class {label!r} is not known{suggest(label, names)}"
        )
    return found


def _keep(
    texts: TokenSplit,
    labels: np.ndarray,
    name: str,
    config: LabelledTextDataConfig,
    encoding: TextLabels,
    source: LabelledSource,
) -> tuple[LabelledSplit, list[str]]:
    """Leaves out the texts of the training split that are too long; refuses them elsewhere."""
    lengths, room = np.diff(texts.offsets), config.max_length - len(encoding.start)
    if len(lengths) and not lengths.min() + len(encoding.start):
        first = int(np.argmin(lengths))
        raise UserError(f"{source.name(name, first)}: its text has no token")
    if room < 1:
        raise UserError(f"data.max_length={config.max_length}: leaves no room behind [CLS]")
    notes = []
    if name != "train":
        absent = np.setdiff1d(np.arange(len(encoding.names)), labels)
        notes = [f"class {encoding.names[i]!r} has no example in the {name} split" for i in absent]
    fits = lengths <= room
    if config.cut_long or fits.all():
        if not fits.all():
            cut = f"{(~fits).sum()} of {len(fits)} texts of the {name} split are cut to"
            notes.append(f"{cut} data.max_length={config.max_length} tokens")
        kept = np.arange(len(lengths))
        return LabelledSplit(texts, kept, labels, np.minimum(lengths, room)), notes
    if name == "train" and fits.any():
        left = f"{(~fits).sum()} of {len(fits)} texts of the train split are longer than"
        notes.append(f"{left} data.max_length={config.max_length} and left out")
        kept = np.flatnonzero(fits)
        return LabelledSplit(texts, kept, labels[kept], lengths[kept]), notes
    first = int(np.flatnonzero(~fits)[0])
    raise UserError(
        f"data.max_length={config.max_length}: {source.name(name, first)} has "
        f"{int(lengths[first]) + len(encoding.start)} tokens, the longest of the {name} split "
        f"{int(lengths.max()) + len(encoding.start)}; data.cut_long=true keeps the first ones"
    )
