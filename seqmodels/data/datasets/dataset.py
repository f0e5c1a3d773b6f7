"""The interface of a data set: by split, columns of raw values."""

from __future__ import annotations

import abc
import functools
import hashlib
import itertools
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from seqmodels.config.data import NUM_FOLDS, DataConfig
from seqmodels.config.features import TextForm
from seqmodels.data.image_file import ImageFiles

Column = Any
"""Values, one per row: a list of texts, of names of classes, or of numbers; an int array of the
numbers of classes where `Dataset.classes` names them; or an `ImageColumn`."""
Splits = dict[str, dict[str, Column]]
"""Split name to column name to values; the columns of a split have the same length."""
Documents = dict[str, list[str]]
"""Split name to its documents, in order."""
SPLITS = ("train", "validation", "test")
_WORD_SEPARATOR = "\u200b"
"""Zero width space: between words of Khmer, Thai and other scripts that show none."""
_ATTACHED = ("Mn", "Mc", "Me", "Cf")
_EMOJI_MODIFIERS = "\U0001f3fb-\U0001f3ff"


@runtime_checkable
class Dataset(Protocol):
    """A data set that can be read. Each class of the registry's DATASETS returns one by `open`.

    Attributes:
      description: what and where, for a person.
    """

    description: str

    def fingerprint(self) -> str:
        """Returns a hash of all that decides `splits()`; cheap: every start computes it."""
        ...

    def splits(self) -> Splits:
        """Reads the columns. Raises UserError where the user can correct what is wrong."""
        ...

    def classes(self, column: str) -> tuple[str, ...] | None:
        """Names of the classes in a column, in order; None = those of the training split."""
        ...

    def word_classes(self, column: str) -> Mapping[str, tuple[str, ...]]:
        """Name of a class of words -> its words, for texts whose words are to be scored by class:
        {"colours": ("red", "blue")}. Empty for texts without."""
        ...

    def open_images(self, split: str, column: str, names: Sequence[Any]) -> ImageFiles | None:
        """The image files that the texts of a column name; None where they name none.

        Raises:
          UserError: names the row whose file does not exist.
        """
        ...

    def locate(self, split: str, row: int) -> str:
        """Describes the place of a row for error messages: "reviews.csv, line 7"."""
        ...

    def folder(self, split: str) -> Path | None:
        """The folder in which the files are that a split names; None where names are paths."""
        ...


@runtime_checkable
class ImageColumn(Protocol):
    """Images that can be read in any order.

    Attributes:
      shape: height, width and channels; None where images may differ.
      is_generated: whether images are computed, not decoded, so that storing them saves no time.
    """

    @property
    def shape(self) -> tuple[int | None, int | None, int]: ...

    @property
    def is_generated(self) -> bool: ...

    def __len__(self) -> int: ...

    def read(self, at: Int[np.ndarray, " n"]) -> Sequence[np.ndarray]:
        """Returns the images of these rows, uint8 [H, W, C] each: one array or a list."""
        ...


class BuiltInDataset(abc.ABC):
    """Defaults of a data set that has no settings, no classes and nothing to download."""

    description: str = ""

    @classmethod
    def open(cls, config: DataConfig) -> Dataset:
        """Returns the data set that `config` names."""
        del config
        return cls()

    @classmethod
    def prepare(cls, config: DataConfig) -> None:
        """Downloads what is missing; by default nothing is."""
        del config

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Returns a hash of all that decides `splits()`."""

    @abc.abstractmethod
    def splits(self) -> Splits:
        """Returns the columns of each split."""

    def classes(self, column: str) -> tuple[str, ...] | None:
        """Names of the classes in a column; None = those of the training split."""
        del column
        return None

    def word_classes(self, column: str) -> Mapping[str, tuple[str, ...]]:
        """Classes of the words in a column of texts: none."""
        del column
        return {}

    def open_images(self, split: str, column: str, names: Sequence[Any]) -> ImageFiles | None:
        """The image files that a column names: none."""
        del split, column, names
        return None

    def locate(self, split: str, row: int) -> str:
        """Describes the place of a row for error messages."""
        return f"{split} example {row}"

    def folder(self, split: str) -> Path | None:
        """The folder in which the files are that a split names; None where names are paths."""
        del split


def hash_documents(documents: Mapping[str, Sequence[str]]) -> str:
    """Returns a hash of the documents, their order and their splits."""
    digest = hashlib.sha256()
    for split, texts in documents.items():
        digest.update(f"{split} {len(texts)}\n".encode())
        for text in texts:
            encoded = text.encode("utf-8", "surrogatepass")
            digest.update(f"{len(encoded)}\n".encode() + encoded)
    return digest.hexdigest()


def hash_fraction(text: str) -> float:
    """Returns a number in [0, 1) that depends on the text alone, to assign it to a split."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def split_of_fold(text: str, fold: int) -> str:
    """The split of a text where the hash of each assigns it to one of ten folds.

    Args:
      fold: is the test split; the next one is the validation split.
    """
    place = (int(hash_fraction(text) * NUM_FOLDS) - fold) % NUM_FOLDS
    return {0: "test", 1: "validation"}.get(place, "train")


def normalise_text(text: str, form: TextForm) -> str:
    """Returns a text in a form: "A man's hat." is "a man 's hat ." in lower_words."""
    return text if form is TextForm.WRITTEN else lower_words(text)


def describe_form(form: TextForm) -> str:
    """All that decides what `normalise_text` makes of a text; empty where it changes nothing."""
    return "" if form is TextForm.WRITTEN else f" {form} {_word_or_symbol().pattern}"


def lower_words(text: str) -> str:
    """Returns words and symbols in lower case, separated by one space each.

    A word is a run of letters and digits, a symbol any other character that is not white space.
    Combining marks (accents, vowel signs, viramas), joiners and other format characters belong to
    the character before them, so that they are inside words, as Unicode has it (UAX #29, WB4); a
    zero width space separates words. Of a script without spaces, such as Chinese or Thai, a word is
    all that is between two symbols.
    """
    return " ".join(_word_or_symbol().findall(text.lower()))


@functools.cache
def _word_or_symbol() -> re.Pattern[str]:
    tail = _attached_characters()
    word = rf"\w[\w{tail}]*"
    symbol = rf"[^\w\s{_WORD_SEPARATOR}][{tail}{_EMOJI_MODIFIERS}]*"
    # Emoji after a zero width joiner are a part of the one before it (UAX #29, WB3c).
    return re.compile(rf"['\u2019]s(?![\w{tail}])|{word}|{symbol}(?:(?<=\u200d){symbol})*")


def _attached_characters() -> str:
    """Marks (Mn, Mc, Me) and format characters (Cf), as the inside of a character class."""
    everywhere = (*range(0x20000), *range(0xE0000, 0xE0200))  # Unicode has none in between
    codes = [
        code
        for code in everywhere
        if unicodedata.category(chr(code)) in _ATTACHED and chr(code) != _WORD_SEPARATOR
    ]
    runs = itertools.groupby(enumerate(codes), lambda numbered: numbered[1] - numbered[0])
    bounds = [[code for _, code in run] for _, run in runs]
    return "".join(f"{chr(run[0])}-{chr(run[-1])}" for run in bounds)
