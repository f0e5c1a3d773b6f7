"""Typed settings of the data: where columns come from, and how they become batches."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from typing import Any, ClassVar

from seqmodels import registry
from seqmodels.config.errors import UserError, suggest
from seqmodels.config.features import FeatureConfig, TokenizerKind, TokenizerSettings
from seqmodels.config.fields import fraction, number

MAX_SHAPES = 8
"""The most shapes that batches may have: each is compiled separately."""
NUM_FOLDS = 10
_OWN_FILES = ("path", "train_path", "validation_path", "test_path")
TABLE_ENDINGS = registry.DATASETS["table"].endings
COLUMN_MARK = "{column}"
"""In a path to the files of `parallel_text`: becomes the name of each column."""
_READING = ("time_column", "gaps")
"""Options that hold for other files of a run too."""
_OPTIONS = (*_OWN_FILES, *_READING, "strict", "fold", "tfds_data_dir")
"""Fields that only some data sets read; the registry says which."""


class GapPolicy(enum.StrEnum):
    """Missing values and times of a series. refuse: an error. forward_fill: the value before them.
    mask: the same as an input, and not a target."""

    REFUSE = "refuse"
    FORWARD_FILL = "forward_fill"
    MASK = "mask"


class Batching(enum.StrEnum):
    """How a batch is cut from the token store.

    crops: rows start at random tokens, drawn for each step (nanoGPT).
    windows: the split is cut into windows; each epoch shuffles them.
    streams: batch_size contiguous streams; the model's carry runs on from step to step.
    packed: whole documents packed into rows, separated by segment ids.
    buckets: one document per row, padded to the smallest of at most 8 lengths.
    """

    CROPS = "crops"
    WINDOWS = "windows"
    STREAMS = "streams"
    PACKED = "packed"
    BUCKETS = "buckets"


@dataclasses.dataclass
class DataConfig:
    """Base of all data configs: where the columns come from.

    Attributes:
      name: a name of the registry's DATASETS, for some with an argument: `tfds:glue/sst2`.
      batch_size: global, over all devices and micro-batches.
      cache_dir: directory for what is made of the data once; none = $SEQMODELS_CACHE_DIR, else
        ~/.cache/seqmodels.
      path: your own files (`python launch.py list` names the data sets that read it), cut into
        splits by the two fractions; for a published data set the folder of its files.
      train_path, validation_path, test_path: your own files, one path per split, instead of `path`.
        Without validation_path, validation_fraction is cut from the training files.
      validation_fraction, test_fraction: shares of your own files to hold out.
      strict: `abc_file`: refuse a file with a tune that does not parse; otherwise such tunes are
        left out, and named.
      fold: for a data set without a published split: the tenth to test on, 0 to 9; the next one is
        the validation split.
      time_column: `series_file`: the column of times (ISO 8601, or numbers); none = rows in order.
      gaps: `series_file`: see `GapPolicy`.
      tfds_data_dir: where `tfds:NAME` is prepared; none = $SEQMODELS_DATA_DIR/tfds where that
        exists, else TFDS's own default.
      train_split, validation_split, test_split: `tfds:NAME`: TFDS split expressions, such as
        'train[:90%]' or 'validation+test'; test_split may be none.
    """

    kind: ClassVar[str] = ""
    name: str = ""
    batch_size: int = 32
    cache_dir: str | None = None
    path: str | None = None
    train_path: str | None = None
    validation_path: str | None = None
    test_path: str | None = None
    validation_fraction: float = fraction(0.05)
    test_fraction: float = fraction(0.05)
    strict: bool = False
    fold: int = number(0, least=0)
    time_column: str | None = None
    gaps: GapPolicy = GapPolicy.REFUSE
    tfds_data_dir: str | None = None
    train_split: str = "train"
    validation_split: str = "validation"
    test_split: str | None = "test"

    @property
    def dataset(self) -> str:
        """The name in the registry, without the argument."""
        return self.name.partition(":")[0]

    def streams(self) -> bool:
        """Whether a split is one stream of text, whose context evaluation.context chooses."""
        return False

    @property
    def carries_state(self) -> bool:
        """Whether the model's carry runs on from batch to batch."""
        return False

    def roles(self) -> dict[str, str]:
        """Role (inputs, targets, source) -> kind of its feature."""
        return {}

    def word(self, role: str) -> str:
        """The kind of input that a model reads in a role, in the words of `DataSpec`."""
        raise NotImplementedError

    def given(self, role: str) -> str:
        """The kind of input that `predict` takes for a role: a `line` or a `file`."""
        return "line"

    def columns(self) -> dict[str, str]:
        """Field of the config -> name of the column that it asks for."""
        return {}

    def lengths(self) -> dict[str, int]:
        """Fields that bound the length of a sequence, with their values."""
        return {}

    def varying_shapes(self) -> str | None:
        """The setting by which batches differ in shape; None where all have one."""
        return None

    def whole_words(self) -> bool:
        """Whether a text must not be cut within a word."""
        return False

    def tokenizers(self) -> dict[str, TokenizerSettings]:
        """Section of the data config (empty for the config itself) -> settings of its tokenizer."""
        return {}

    def of_file(self, path: str) -> DataConfig:
        """The same settings for the user's own files at `path`, all of which are the test split.

        Raises:
          UserError: a path that does not say how the columns are to be read.
        """
        changes: dict[str, Any] = {
            option: type(self).__dataclass_fields__[option].default
            for option in _OPTIONS
            if option not in _READING
        }
        return dataclasses.replace(
            self, **changes | {"test_path": path, "name": self._reader_of(path)}
        )

    def _reader_of(self, path: str) -> str:
        """The data set that reads the user's own files at a path."""
        raise NotImplementedError

    def paths(self) -> tuple[str, ...]:
        """Dotted names, within the config, of all fields that name files or directories."""
        sections = [f"{name}." if name else "" for name in self.tokenizers()]
        tokenizers = [f"{section}tokenizer_path" for section in sections]
        return (*_OWN_FILES, "tfds_data_dir", "cache_dir", *tokenizers)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yields (field, allowed values) where fields of the data do not go together."""
        entry = registry.DATASETS[self.dataset]
        yield from self._name_problems(entry)
        yield from self._option_problems(entry)
        yield from self._column_problems(entry)
        if self.fold >= NUM_FOLDS:
            yield "fold", f"must be from 0 to {NUM_FOLDS - 1}"
        if self.validation_fraction + self.test_fraction >= 1:
            yield (
                "validation_fraction",
                f"with data.test_fraction={self.test_fraction} leaves nothing to train on; their "
                "sum must be less than 1",
            )
        if "train_path" in entry.options:
            yield from self._file_problems()

    def _name_problems(self, entry: registry.DatasetEntry) -> Iterator[tuple[str, str]]:
        _, colon, argument = self.name.partition(":")
        sizes = entry.argument == "[SIZE]" and colon
        is_size = argument.isascii() and argument.isdecimal()
        if sizes and not (is_size and int(argument) >= entry.least_size):
            least = f"with a SIZE of {entry.least_size} or more"
            yield "name", f"must be {self.dataset} or {self.dataset}:SIZE, {least}"
        elif entry.argument == "NAME" and not argument:
            yield "name", f"must name a data set: {self.dataset}:NAME"
        elif not entry.argument and ":" in self.name:
            yield "name", f"must be {self.dataset}, without a colon"

    def _option_problems(self, entry: registry.DatasetEntry) -> Iterator[tuple[str, str]]:
        for option in _OPTIONS:
            default = type(self).__dataclass_fields__[option].default
            if option not in entry.options and getattr(self, option) != default:
                readers = [n for n, e in registry.DATASETS.items() if option in e.options]
                yield option, f"is only for data.name={' or '.join(readers)}, not {self.name}"

    def _column_problems(self, entry: registry.DatasetEntry) -> Iterator[tuple[str, str]]:
        columns = self.columns()
        for field, column in columns.items():
            if not column:
                yield field, "must be the name of a column"
            elif entry.columns is not None and column not in entry.columns:
                has = " and ".join(entry.columns)
                near = suggest(column, entry.columns)
                near = near if "did you mean" in near else ""
                yield field, f"is not a column of {self.dataset}, which has {has}{near}"
        for field, column in list(columns.items())[1:]:
            first = next(other for other in columns if columns[other] == column)
            if first != field:
                yield field, f"must be another column than data.{first}"

    def _file_problems(self) -> Iterator[tuple[str, str]]:
        """Whether the paths name files to cut, or files for each split."""
        parts = {name: getattr(self, name) for name in _OWN_FILES[1:]}
        given = [name for name, path in parts.items() if path is not None]
        held_out = "train_path with validation_path or test_path"
        for name in _OWN_FILES:
            if getattr(self, name) == "":
                yield name, "must be a path, or none"
        if self.path is not None and given:
            yield given[0], "and data.path: give one of the two"
        elif self.path is None and self.train_path is None:
            yield "path", f"data.name={self.name} needs your files here, or in data.{held_out}"
        elif self.path is None and self.validation_path is None and self.test_path is None:
            yield "validation_path", "must be a path, or data.test_path, next to data.train_path"
        elif self.validation_path is None and self.validation_fraction == 0:
            beside = "path" if self.path is not None else "train_path"
            yield "validation_fraction", f"must be above 0 with data.{beside}"


@dataclasses.dataclass
class TextDataConfig(DataConfig, TokenizerSettings):
    """Text for language modelling: the documents of a column, one after the other.

    Attributes:
      feature: name of the column. `tfds:NAME`: of several features, separated by commas, a document
        is the texts of an example, one per line.
      batching, sequence_length: how rows are cut; a row has sequence_length targets.
    """

    kind: ClassVar[str] = "text"
    name: str = "python_docs"
    feature: str = "text"
    batching: Batching = Batching.CROPS
    sequence_length: int = 128

    def streams(self) -> bool:
        """A split is one stream."""
        return True

    @property
    def carries_state(self) -> bool:
        return self.batching is Batching.STREAMS

    def roles(self) -> dict[str, str]:
        """One stream of tokens, which are inputs and targets."""
        return {"inputs": "text"}

    def word(self, role: str) -> str:
        """Tokens."""
        return "tokens"

    def columns(self) -> dict[str, str]:
        """The column of documents."""
        return {"feature": self.feature}

    def lengths(self) -> dict[str, int]:
        """The number of targets in a row."""
        return {"sequence_length": self.sequence_length}

    def varying_shapes(self) -> str | None:
        """Buckets have a width each."""
        return "data.batching=buckets" if self.batching is Batching.BUCKETS else None

    def whole_words(self) -> bool:
        """Words are not cut where they are the tokens."""
        return self.tokenizer is TokenizerKind.WORD

    def tokenizers(self) -> dict[str, TokenizerSettings]:
        """The one tokenizer."""
        return {"": self}

    def of_file(self, path: str) -> DataConfig:
        """The same settings for the text of the user's own files; see `DataConfig.of_file`."""
        return dataclasses.replace(super().of_file(path), feature="text")  # type: ignore[call-arg]

    def _reader_of(self, path: str) -> str:
        del path
        own = "test_path" in registry.DATASETS[self.dataset].options
        return self.name if own else "text_file"

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from super().problems()
        yield from TokenizerSettings.problems(self)
        if self.tokenizer is TokenizerKind.SHARED:
            yield "tokenizer", "shared is only for the source of examples"
        if not all(name.strip() for name in self.feature.split(",")):
            yield (
                "feature",
                "must be the name of a text feature, or of several, as in question,answer",
            )


@dataclasses.dataclass
class ExamplesDataConfig(DataConfig):
    """Whole examples, one per row: each role is a feature of one column.

    Attributes:
      inputs, targets, source: features; which ones, the task decides.
      max_shapes: batches are padded to that many shapes at most; each is compiled once.
    """

    kind: ClassVar[str] = "examples"
    name: str = "dates"
    source: FeatureConfig | None = None
    inputs: FeatureConfig | None = None
    targets: FeatureConfig | None = None
    max_shapes: int = 8

    def features(self) -> dict[str, FeatureConfig]:
        """The features by role, the source first."""
        named = {"source": self.source, "inputs": self.inputs, "targets": self.targets}
        return {role: feature for role, feature in named.items() if feature is not None}

    def roles(self) -> dict[str, str]:
        """Role -> kind of its feature."""
        return {role: feature.kind for role, feature in self.features().items()}

    def word(self, role: str) -> str:
        """The kind of input that a model reads from the feature of a role."""
        return self.features()[role].reads()

    def given(self, role: str) -> str:
        """The kind of input that `predict` takes for the feature of a role."""
        return self.features()[role].given

    def columns(self) -> dict[str, str]:
        """The column of each feature."""
        return {f"{role}.column": feature.column for role, feature in self.features().items()}

    def lengths(self) -> dict[str, int]:
        """The bounds of all features."""
        return {
            f"{role}.{field}": length
            for role, feature in self.features().items()
            for field, length in feature.lengths().items()
        }

    def varying_shapes(self) -> str | None:
        """Rows of different lengths make batches of several shapes."""
        varies = any(feature.varies for feature in self.features().values())
        return f"data.max_shapes={self.max_shapes}" if varies and self.max_shapes > 1 else None

    def _reader_of(self, path: str) -> str:
        if COLUMN_MARK in path:
            return "parallel_text"
        if path.lower().endswith(TABLE_ENDINGS):
            return next(iter({feature.table for feature in self.features().values()}))
        for name, entry in registry.DATASETS.items():
            if entry.endings and path.lower().endswith(entry.endings):
                return self.name if name == self.dataset else name
        if all(self.given(role) == "line" for role in self.features()):
            raise UserError(
                f"--input={path}: must be a table ({', '.join(TABLE_ENDINGS)}), a FASTA file, or "
                f"files with a column each, by a path with {COLUMN_MARK}"
            )
        return "folder"

    def tokenizers(self) -> dict[str, Any]:
        """Those of all features of tokens."""
        found = self.features().items()
        return {role: feature for role, feature in found if isinstance(feature, TokenizerSettings)}

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from super().problems()
        for role, feature in self.features().items():
            for field, allowed in feature.problems():
                yield f"{role}.{field}", allowed
        if self.max_shapes > MAX_SHAPES:
            yield "max_shapes", f"must be at most {MAX_SHAPES}"
        for role, settings in self.tokenizers().items():
            if settings.tokenizer is TokenizerKind.SHARED and (
                role != "source" or "targets" not in self.tokenizers()
            ):
                yield f"{role}.tokenizer", "shared is only for a source next to targets of tokens"
