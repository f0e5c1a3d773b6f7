"""Typed settings of the data: where it comes from, how it is tokenised, how it is batched."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from typing import Any, ClassVar

MAX_SHAPES = 8
"""Most shapes that batches may have: each is compiled by itself."""


class TokenizerKind(enum.StrEnum):
    """What a token is. The last two are read; the others are made from the training split only.

    character: a Unicode code point.
    byte: a byte of UTF-8.
    word: what stands between white space; a line feed is <eos>.
    bpe: a string of bytes; data.vocab_size of them are learned.
    huggingface: what a tokenizer of the `tokenizers` library says.
    run: what it is for another run.
    """

    CHARACTER = "character"
    BYTE = "byte"
    WORD = "word"
    BPE = "bpe"
    HUGGINGFACE = "huggingface"
    RUN = "run"


_READ = (TokenizerKind.HUGGINGFACE, TokenizerKind.RUN)
_SIZED = {TokenizerKind.WORD: 3, TokenizerKind.BPE: 256, TokenizerKind.HUGGINGFACE: 1}
"""Tokenizers that take data.vocab_size, and its least: <unk>, <eos> and a word; all bytes."""


class Batching(enum.StrEnum):
    """How a batch is cut from the token store.

    crops: rows start at random tokens, drawn anew for each step (nanoGPT).
    windows: the split is cut into windows; each epoch shuffles them.
    streams: batch_size contiguous streams; the model's carry runs on from step to step.
    packed: whole documents packed into rows, told apart by segment ids.
    buckets: one document a row, padded to the smallest of at most 8 lengths.
    """

    CROPS = "crops"
    WINDOWS = "windows"
    STREAMS = "streams"
    PACKED = "packed"
    BUCKETS = "buckets"


@dataclasses.dataclass
class DataConfig:
    """Base of all data configs.

    Attributes:
      name: a name of the registry's DATASETS, of the same kind.
      batch_size: global, over all devices and micro-batches.
      cache_dir: what is made of the data once; none = $SEQMODELS_CACHE_DIR, else
        ~/.cache/seqmodels.
    """

    kind: ClassVar[str] = ""
    readers: ClassVar[dict[str, tuple[str, ...]]] = {}
    """Data set -> those of the fields of `paths` that it reads."""
    name: str = ""
    batch_size: int = 32
    cache_dir: str | None = None

    def paths(self) -> dict[str, str | None]:
        """The fields that name files of the user's."""
        return {}

    def path_problems(self) -> Iterator[tuple[str, str]]:
        """Yields (field, what is allowed) where files are named that the data set does not read."""
        for field, path in self.paths().items():
            readers = [name for name, fields in self.readers.items() if field in fields]
            if path is not None and self.name not in readers:
                yield field, f"is only for data.name={' or '.join(readers)}, not {self.name}"

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yields (field, what is allowed) where fields of the data do not go together."""
        yield from ()


@dataclasses.dataclass
class TextDataConfig(DataConfig):
    """Text for language modelling.

    Attributes:
      name: a name of the registry's DATASETS (`python_docs`, `text_file`) or `tfds:NAME`.
      path: `text_file`: a UTF-8 file or a glob, split by fraction (the last part is held out).
        `abc_file`: the same, split by tune. `wikitext2`, `irish_abc`: the folder of its files.
      train_path, validation_path, test_path: `text_file`, `abc_file`: a file or glob each, instead
        of path.
      validation_fraction, test_fraction: shares of `path` that are held out.
      tfds_data_dir: where `tfds:NAME` is prepared; none = $SEQMODELS_DATA_DIR/tfds where that
        exists, else TFDS's own default.
      feature: `tfds:NAME`: name of the text feature; of several, separated by commas, a document is
        the texts of an example, a line each.
      train_split, validation_split, test_split: TFDS split expressions, such as 'validation+test';
        test_split may be none.
      tokenizer: see `TokenizerKind`.
      tokenizer_path: huggingface: a folder with tokenizer.json, vocab.json and merges.txt, or
        vocab.txt; or such a file. run: a work directory.
      vocab_size: word: most tokens, <unk> and <eos> among them, the most frequent words stay; none
        = all words. bpe: tokens that are learned. huggingface: size of the model's vocabulary where
        its table has more rows than the tokenizer has tokens; none = those of the tokenizer.
      min_count: word: words that the training split has fewer times are <unk>.
      unknown_symbols: character tokenizer: keep a symbol <unk> for characters that the training
        split lacks; without it such a character in held-out text is an error.
      batching, sequence_length: how rows are cut; a row has sequence_length targets.
    """

    kind: ClassVar[str] = "text"
    readers: ClassVar[dict[str, tuple[str, ...]]] = {
        "text_file": ("path", "train_path", "validation_path", "test_path"),
        "abc_file": ("path", "train_path", "validation_path", "test_path"),
        "wikitext2": ("path",),
        "irish_abc": ("path",),
    }
    name: str = "python_docs"
    path: str | None = None
    train_path: str | None = None
    validation_path: str | None = None
    test_path: str | None = None
    validation_fraction: float = 0.05
    test_fraction: float = 0.05
    tfds_data_dir: str | None = None
    feature: str = "text"
    train_split: str = "train"
    validation_split: str = "validation"
    test_split: str | None = "test"
    tokenizer: TokenizerKind = TokenizerKind.CHARACTER
    tokenizer_path: str | None = None
    vocab_size: int | None = None
    min_count: int = 1
    unknown_symbols: bool = True
    batching: Batching = Batching.CROPS
    sequence_length: int = 128

    def paths(self) -> dict[str, str | None]:
        """The fields that name files of the user's."""
        return {
            "path": self.path,
            "train_path": self.train_path,
            "validation_path": self.validation_path,
            "test_path": self.test_path,
        }

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from self.path_problems()
        yield from fraction_problems(self)
        yield from tokenizer_problems(self)
        if not all(name.strip() for name in self.feature.split(",")):
            yield (
                "feature",
                "must be the name of a text feature, or of several, as in question,answer",
            )
        yield from tokenizer_path_problems(self)


class TextForm(enum.StrEnum):
    """written: as it is. lower_words: in lower case, words and marks set apart by a space."""

    WRITTEN = "written"
    LOWER_WORDS = "lower_words"


class Language(enum.StrEnum):
    """Of Multi30k."""

    EN = "en"
    DE = "de"
    FR = "fr"


@dataclasses.dataclass
class PairsDataConfig(DataConfig):
    """Pairs of texts: a source, and the target that it is to become.

    Attributes:
      name: `dates`, `numbers` (both made up), `multi30k`, `parallel_text`, `pairs_file`
        or `tfds_pairs:NAME`.
      path: `pairs_file`: a CSV or TSV file (by its ending) whose first line names the columns;
        split by a hash of the source. `multi30k`: the folder of its files.
      source_language, target_language: `multi30k`: its direction.
      train_path, validation_path, test_path: `pairs_file`: a file each, instead of path.
      source_column, target_column: the two sides: columns of `pairs_file`, text features of
        `tfds_pairs:NAME` (of a translation its languages).
      tfds_data_dir, train_split, validation_split, test_split: `tfds_pairs:NAME`: as for text.
      source_path, target_path: `parallel_text`: two UTF-8 files, line i of one is the translation
        of line i of the other; split by fraction (the last part is held out, and what is in it is
        left out of the parts before).
      train_source_path .. test_target_path: `parallel_text`: two files a split, instead.
      validation_fraction, test_fraction: shares of path, or of the lines of source_path, that are
        held out.
      tokenizer, vocab_size, min_count: as for text, but for huggingface and run; of each
        vocabulary. Lines have no line feed, so <eos> is the target's end alone.
      unknown_symbols: character tokenizer: keep a symbol <unk> for what the training split lacks.
      form: what is made of the texts before they are tokenised.
      shared_vocabulary: one vocabulary for both sides, or one a side.
      max_source_length, max_target_length: in tokens; the target's <eos> counts. Longer pairs of
        the training split are left out, held-out ones are refused.
      max_shapes: batches are padded to that many shapes at most; each is compiled once.
    """

    kind: ClassVar[str] = "pairs"
    readers: ClassVar[dict[str, tuple[str, ...]]] = {
        "parallel_text": (
            "source_path",
            "target_path",
            *(
                f"{split}_{side}_path"
                for split in ("train", "validation", "test")
                for side in ("source", "target")
            ),
        ),
        "pairs_file": ("path", "train_path", "validation_path", "test_path"),
        "multi30k": ("path",),
    }
    name: str = "dates"
    path: str | None = None
    source_language: Language = Language.DE
    target_language: Language = Language.EN
    train_path: str | None = None
    validation_path: str | None = None
    test_path: str | None = None
    source_column: str = "source"
    target_column: str = "target"
    tfds_data_dir: str | None = None
    train_split: str = "train"
    validation_split: str = "validation"
    test_split: str | None = "test"
    source_path: str | None = None
    target_path: str | None = None
    train_source_path: str | None = None
    train_target_path: str | None = None
    validation_source_path: str | None = None
    validation_target_path: str | None = None
    test_source_path: str | None = None
    test_target_path: str | None = None
    validation_fraction: float = 0.05
    test_fraction: float = 0.05
    tokenizer: TokenizerKind = TokenizerKind.CHARACTER
    vocab_size: int | None = None
    min_count: int = 1
    unknown_symbols: bool = True
    form: TextForm = TextForm.WRITTEN
    shared_vocabulary: bool = True
    max_source_length: int = 64
    max_target_length: int = 64
    max_shapes: int = 8

    def paths(self) -> dict[str, str | None]:
        """The fields that name files of the user's."""
        return {
            "path": self.path,
            "train_path": self.train_path,
            "validation_path": self.validation_path,
            "test_path": self.test_path,
            "source_path": self.source_path,
            "target_path": self.target_path,
            "train_source_path": self.train_source_path,
            "train_target_path": self.train_target_path,
            "validation_source_path": self.validation_source_path,
            "validation_target_path": self.validation_target_path,
            "test_source_path": self.test_source_path,
            "test_target_path": self.test_target_path,
        }

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.tokenizer in _READ:
            others = ", ".join(kind for kind in TokenizerKind if kind not in _READ)
            yield "tokenizer", f"must be one of {others} for data of kind pairs"
        else:
            yield from tokenizer_problems(self)
        yield from fraction_problems(self)
        if self.max_shapes > MAX_SHAPES:
            yield "max_shapes", f"must be at most {MAX_SHAPES}"
        if self.name in ("tfds_pairs", "tfds_pairs:"):
            yield "name", "must name a data set: tfds_pairs:NAME"
        if self.source_column == self.target_column:
            yield "target_column", "must be another one than data.source_column"
        if self.source_language is self.target_language:
            yield "target_language", "must be another one than data.source_language"
        yield from self.path_problems()
        if self.name == "pairs_file":
            yield from table_problems(self)
        elif self.name == "parallel_text":
            yield from self._file_problems()

    def _file_problems(self) -> Iterator[tuple[str, str]]:
        paths = {name: self.paths()[name] for name in self.readers["parallel_text"]}
        given = [name for name, path in paths.items() if path is not None]
        whole = self.source_path is not None
        if not whole and self.train_source_path is None:
            yield (
                "source_path",
                "data.name=parallel_text needs a file here, or in data.train_source_path and "
                "data.validation_source_path",
            )
            return
        needed = ["source"] if whole else ["train_source", "validation_source"]
        needed = [f"{start}_path" for start in needed]
        needed += [name.replace("source", "target") for name in needed]
        for name in needed:
            if paths[name] is None:
                yield name, "must be a file"
        for name in given:
            if whole != (name in ("source_path", "target_path")):
                yield name, f"and data.{needed[0]}: give one of the two"
        if (self.test_source_path is None) != (self.test_target_path is None):
            yield "test_source_path", "and data.test_target_path: give both or none"
        if whole and self.validation_fraction == 0:
            yield "validation_fraction", "must be above 0 with data.source_path"


def fraction_problems(config: Any) -> Iterator[tuple[str, str]]:
    """What is held out must leave something to train on."""
    if config.validation_fraction + config.test_fraction >= 1:
        yield (
            "validation_fraction",
            f"with data.test_fraction={config.test_fraction} leaves nothing to train on; their "
            "sum must be less than 1",
        )


def table_problems(config: Any) -> Iterator[tuple[str, str]]:
    """Whether the paths of a data set of tables name one file, or a file a split."""
    parts = ("train_path", "validation_path", "test_path")
    paths = config.paths()
    given = [name for name in parts if paths[name] is not None]
    if config.path is not None and given:
        yield given[0], "and data.path: give one of the two"
    elif config.path is not None and config.validation_fraction == 0:
        yield "validation_fraction", "must be above 0 with data.path"
    elif config.path is None and config.train_path is None:
        yield (
            "path",
            f"data.name={config.name} needs a .csv or .tsv file here, or in data.train_path and "
            "data.validation_path",
        )
    elif config.path is None and config.validation_path is None:
        yield "validation_path", "must be a file beside data.train_path"


def tokenizer_problems(config: Any) -> Iterator[tuple[str, str]]:
    """What does not go with the tokenizer of a data config."""
    kind, size = config.tokenizer, config.vocab_size
    if size is not None and kind not in _SIZED:
        yield "vocab_size", f"is only for data.tokenizer={' or '.join(_SIZED)}, not {kind}"
    elif size is not None and size < _SIZED[kind]:
        yield "vocab_size", f"must be {_SIZED[kind]} or more with data.tokenizer={kind}"
    elif size is None and kind is TokenizerKind.BPE:
        yield "vocab_size", "must be how many tokens data.tokenizer=bpe is to learn, such as 8192"
    if config.min_count != 1 and kind is not TokenizerKind.WORD:
        yield "min_count", f"is only for data.tokenizer=word, not {kind}"
    if not config.unknown_symbols and kind is TokenizerKind.WORD:
        yield "unknown_symbols", "must be true with data.tokenizer=word, which has <unk>"


def tokenizer_path_problems(config: Any) -> Iterator[tuple[str, str]]:
    """Whether a tokenizer that is read has a place, and no other one has."""
    kind, path = config.tokenizer, config.tokenizer_path
    if kind not in _READ and path is not None:
        yield "tokenizer_path", f"is only for data.tokenizer={' or '.join(_READ)}, not {kind}"
    elif kind in _READ and not path:
        what = "a work directory" if kind is TokenizerKind.RUN else "a folder or a file"
        yield "tokenizer_path", f"data.tokenizer={kind} needs {what} here"
