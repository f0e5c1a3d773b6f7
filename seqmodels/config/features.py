"""Typed settings of features: how a column of raw values becomes arrays."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Iterator
from typing import ClassVar


class TokenizerKind(enum.StrEnum):
    """The kinds of tokens.

    character: a Unicode code point.
    byte: a byte of UTF-8.
    word: a run of characters between white space; a line feed is <eos>.
    bpe: a string of bytes; vocab_size of them are learned.
    huggingface: the tokens of a tokenizer of the `tokenizers` library, which is read.
    run: the tokens of another run, whose tokenizer is read.
    shared: for a source only: the vocabulary of the targets, made from both sides.
    """

    CHARACTER = "character"
    BYTE = "byte"
    WORD = "word"
    BPE = "bpe"
    HUGGINGFACE = "huggingface"
    RUN = "run"
    SHARED = "shared"


class TextForm(enum.StrEnum):
    """written: the text as it is. lower_words: lower case, with a space around words and marks."""

    WRITTEN = "written"
    LOWER_WORDS = "lower_words"


class Normalisation(enum.StrEnum):
    """standard: subtract the mean and divide by the deviation of the training split, channel by
    channel. none: values as they are."""

    STANDARD = "standard"
    NONE = "none"


class Resampling(enum.StrEnum):
    """The filters of Pillow by which an image is resized."""

    NEAREST = "nearest"
    BOX = "box"
    BILINEAR = "bilinear"
    HAMMING = "hamming"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


class ImageReading(enum.StrEnum):
    """How a model reads an image.

    image: as it is, in height, width and channels.
    rows: as a sequence of its rows, from the top; a step has the pixels of a row.
    columns: as a sequence of its columns, from the left, as a line of text is read.
    pixels: as a sequence of its pixels, row by row.
    permuted_pixels: the same in an order that is fixed and looks random, so that neighbours are far
    apart (Le et al., 2015, arXiv:1504.00941).
    """

    IMAGE = "image"
    ROWS = "rows"
    COLUMNS = "columns"
    PIXELS = "pixels"
    PERMUTED_PIXELS = "permuted_pixels"


_READ = (TokenizerKind.HUGGINGFACE, TokenizerKind.RUN)
_SIZED = {TokenizerKind.WORD: 3, TokenizerKind.BPE: 256, TokenizerKind.HUGGINGFACE: 1}
"""Tokenizers that take vocab_size, with its least value: <unk>, <eos> and a word; all bytes."""


@dataclasses.dataclass
class TokenizerSettings:
    """Settings of a tokenizer. Unless it is read from a file, it is built from the training split.

    Attributes:
      tokenizer: see `TokenizerKind`.
      tokenizer_path: huggingface: a folder with tokenizer.json, with vocab.json and merges.txt, or
        with vocab.txt; or such a file. run: a work directory.
      vocab_size: word: the most tokens, <unk> and <eos> included; the most frequent words stay;
        none = all words. bpe: the number of tokens to learn. huggingface: the size of the model's
        vocabulary where its table has more rows than the tokenizer has tokens; none = the size of
        the tokenizer.
      min_count: word: rarer words of the training split are <unk>.
      unknown_symbols: character: keep a symbol <unk> for characters that the training split lacks;
        without it such a character in held-out text is an error.
    """

    tokenizer: TokenizerKind = TokenizerKind.CHARACTER
    tokenizer_path: str | None = None
    vocab_size: int | None = None
    min_count: int = 1
    unknown_symbols: bool = True

    @property
    def is_lossless(self) -> bool:
        """Whether every text can be restored from its tokens, whatever the data."""
        if self.tokenizer is TokenizerKind.CHARACTER:
            return not self.unknown_symbols
        return self.tokenizer in (TokenizerKind.BYTE, TokenizerKind.BPE)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yields (field, allowed values) for settings that do not go with the tokenizer."""
        kind, size, path = self.tokenizer, self.vocab_size, self.tokenizer_path
        if size is not None and kind not in _SIZED:
            yield "vocab_size", f"is only for the tokenizers {', '.join(_SIZED)}, not {kind}"
        elif size is not None and size < _SIZED[kind]:
            yield "vocab_size", f"must be {_SIZED[kind]} or more with tokenizer={kind}"
        elif size is None and kind is TokenizerKind.BPE:
            yield "vocab_size", "must be the number of tokens for bpe to learn, such as 8192"
        if self.min_count != 1 and kind is not TokenizerKind.WORD:
            yield "min_count", f"is only for tokenizer=word, not {kind}"
        if not self.unknown_symbols and kind is TokenizerKind.WORD:
            yield "unknown_symbols", "must be true with tokenizer=word, which has <unk>"
        if kind not in _READ and path is not None:
            yield "tokenizer_path", f"is only for tokenizer={' or '.join(_READ)}, not {kind}"
        elif kind in _READ and not path:
            what = "a work directory" if kind is TokenizerKind.RUN else "a folder or a file"
            yield "tokenizer_path", f"tokenizer={kind} needs {what} here"


@dataclasses.dataclass
class FeatureConfig:
    """Base of the features: the settings of one column.

    Class attributes:
      kind: name in the registry.
      word: what a model that reads it takes, in the words of `DataSpec`: tokens, values or image;
        empty where no model reads it.
      varies: whether rows differ in length.
      given: what `predict` is given for it, a `line` of text or a `file`.
      table: the data set that reads it from a table of the user's.
      cuts_if: the setting with which rows that are too long are cut; empty where there is none.
      baselines: names of the baselines that suit inputs of this kind; each task takes those that it
        has, as in `tasks.class_baselines` and `tasks.tag_baselines`.

    Attributes:
      column: name of the column.
    """

    kind: ClassVar[str] = ""
    word: ClassVar[str] = ""
    varies: ClassVar[bool] = False
    given: ClassVar[str] = "line"
    table: ClassVar[str] = "table"
    cuts_if: ClassVar[str] = ""
    baselines: ClassVar[tuple[str, ...]] = ()
    column: str = ""

    def reads(self) -> str:
        """The kind of input that a model reads of it, in the words of `DataSpec`."""
        return self.word

    def lengths(self) -> dict[str, int]:
        """Fields that bound the length of a sequence, with their values."""
        return {}

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yields (field, allowed values) where fields of the feature do not go together."""
        yield from ()


@dataclasses.dataclass
class TokensConfig(FeatureConfig, TokenizerSettings):
    """A text as tokens.

    Attributes:
      form: the form that texts are converted to before they are tokenised.
      class_token: whether a row begins with a token [CLS] of its own, from which bert reads the
        class; a tokenizer that puts something before a text keeps to that.
      max_length: in tokens, with what is put before and after a text. Longer texts of the training
        split are left out, held-out ones are refused.
      cut_long: keep the first max_length tokens of a longer text instead.
    """

    kind: ClassVar[str] = "tokens"
    word: ClassVar[str] = "tokens"
    varies: ClassVar[bool] = True
    cuts_if: ClassVar[str] = "cut_long=true"
    baselines: ClassVar[tuple[str, ...]] = (
        *("naive_bayes", "position_weights"),
        *("majority_of_token", "window"),
    )
    column: str = "text"
    form: TextForm = TextForm.WRITTEN
    class_token: bool = False
    max_length: int = 128
    cut_long: bool = False

    def lengths(self) -> dict[str, int]:
        """The bound on the number of tokens."""
        return {"max_length": self.max_length}

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yields (field, allowed values) for settings that do not go with the tokenizer."""
        yield from TokenizerSettings.problems(self)


@dataclasses.dataclass
class LabelConfig(FeatureConfig):
    """One class per row; the classes are those that the data set names, else those of the training
    split."""

    kind: ClassVar[str] = "label"
    column: str = "label"


@dataclasses.dataclass
class TagsConfig(FeatureConfig):
    """A label for each step of the inputs: names separated by spaces (or a list of names), as many
    as the inputs have tokens.

    Attributes:
      letters: whether each character is a label, as in HHE__.
      ignored: name of the steps that are not targets.
    """

    kind: ClassVar[str] = "tags"
    varies: ClassVar[bool] = True
    column: str = "tags"
    letters: bool = False
    ignored: str | None = None


@dataclasses.dataclass
class ImageConfig(FeatureConfig):
    """An image. Pixels become (x / 255 - mean) / deviation; the defaults are ViT's own.

    Attributes:
      size: height and width that images are resized to; none = as they are stored, all of one size.
      channels: 1 (grey) or 3 (colour); none = as they are stored.
      mean, deviation: one number for all channels, or one per channel separated by commas.
      resampling: how images are resized.
      reading: as an image, or as a sequence of rows or pixels; see `ImageReading`.
    """

    kind: ClassVar[str] = "image"
    word: ClassVar[str] = "image"
    given: ClassVar[str] = "file"
    baselines: ClassVar[tuple[str, ...]] = ("logistic_regression",)
    column: str = "image"
    size: int | None = None
    channels: int | None = None
    mean: str = "0.5"
    deviation: str = "0.5"
    resampling: Resampling = Resampling.BILINEAR
    reading: ImageReading = ImageReading.IMAGE

    def reads(self) -> str:
        """An image, or values where it is read as a sequence."""
        return self.word if self.reading is ImageReading.IMAGE else "values"

    def scaling(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation: one number, or one per channel."""
        mean, deviation = (text.split(",") for text in (self.mean, self.deviation))
        return tuple(map(float, mean)), tuple(map(float, deviation))

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.channels not in (None, 1, 3):
            yield "channels", "must be 1 or 3, or none"
        sizes = (1, 3) if self.channels is None else (1, self.channels)
        for field, least in (("mean", -math.inf), ("deviation", 0.0)):
            text: str = getattr(self, field)
            try:
                numbers = [float(part) for part in text.split(",")]
            except ValueError:
                numbers = []
            if len(numbers) not in sizes or not all(least < x < math.inf for x in numbers):
                above = " above 0" if field == "deviation" else ""
                yield field, f"must be a number{above}, or one per channel, as in 0.5,0.4,0.3"


@dataclasses.dataclass
class ValuesConfig(FeatureConfig):
    """A series of real values: a list of numbers per row (one channel), or a list of steps with a
    list of numbers each; in a table also numbers separated by spaces.

    Attributes:
      normalisation: how values are scaled, fitted on the training split.
      max_length: in steps. Longer series of the training split are left out, held-out ones are
        refused.
    """

    kind: ClassVar[str] = "values"
    word: ClassVar[str] = "values"
    varies: ClassVar[bool] = True
    baselines: ClassVar[tuple[str, ...]] = ("nearest_neighbour",)
    column: str = "values"
    normalisation: Normalisation = Normalisation.STANDARD
    max_length: int = 1024

    def lengths(self) -> dict[str, int]:
        """The bound on the number of steps."""
        return {"max_length": self.max_length}
