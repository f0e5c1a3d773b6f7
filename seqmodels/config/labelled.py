"""Typed settings of texts that have a class each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

from seqmodels.config.data import (
    MAX_SHAPES,
    DataConfig,
    TokenizerKind,
    fraction_problems,
    table_problems,
    tokenizer_path_problems,
    tokenizer_problems,
)

NUM_FOLDS = 10


@dataclasses.dataclass
class LabelledTextDataConfig(DataConfig):
    """Texts, each of one class.

    Attributes:
      name: `order_sentences`, `stories` (both made up), `rotten_tomatoes`, `sst2`, `labelled_file`
        or `tfds_labelled:NAME`.
      path: `labelled_file`: a CSV or TSV file (by its ending) whose first line names the columns;
        split by a hash of the text, so that equal texts are in one split. `rotten_tomatoes`,
        `sst2`: the folder of its files.
      train_path, validation_path, test_path: `labelled_file`: a file each, instead of path.
      text_column, label_column: columns of such a file, or features of a TFDS data set.
      validation_fraction, test_fraction: shares of path that are held out.
      fold: `rotten_tomatoes`: which tenth of the sentences is the test split, 0 to 9; the next one
        is the validation split.
      tfds_data_dir, train_split, validation_split, test_split: `tfds_labelled:NAME`: as for text.
      tokenizer, tokenizer_path, vocab_size, min_count, unknown_symbols: as for text.
      class_token: whether a row begins with a token [CLS] of its own, which bert's class is read
        from; a tokenizer that puts something before a text keeps to that.
      max_length: in tokens, what stands before a text among them. Longer texts of the training
        split are left out, held-out ones are refused.
      cut_long: keep the first max_length tokens of longer texts instead.
      max_shapes: batches are padded to that many lengths at most; each is compiled once.
    """

    kind: ClassVar[str] = "labelled"
    readers: ClassVar[dict[str, tuple[str, ...]]] = {
        "labelled_file": ("path", "train_path", "validation_path", "test_path"),
        "rotten_tomatoes": ("path",),
        "sst2": ("path",),
    }
    name: str = "order_sentences"
    path: str | None = None
    train_path: str | None = None
    validation_path: str | None = None
    test_path: str | None = None
    text_column: str = "text"
    label_column: str = "label"
    validation_fraction: float = 0.1
    test_fraction: float = 0.1
    fold: int = 0
    tfds_data_dir: str | None = None
    train_split: str = "train"
    validation_split: str = "validation"
    test_split: str | None = "test"
    tokenizer: TokenizerKind = TokenizerKind.WORD
    tokenizer_path: str | None = None
    vocab_size: int | None = None
    min_count: int = 1
    unknown_symbols: bool = True
    class_token: bool = False
    max_length: int = 128
    cut_long: bool = False
    max_shapes: int = 8

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
        yield from tokenizer_problems(self)
        yield from tokenizer_path_problems(self)
        yield from fraction_problems(self)
        if self.name in ("tfds_labelled", "tfds_labelled:"):
            yield "name", "must name a data set: tfds_labelled:NAME"
        if self.fold >= NUM_FOLDS:
            yield "fold", f"must be from 0 to {NUM_FOLDS - 1}"
        elif self.fold and self.name != "rotten_tomatoes":
            yield "fold", f"is only for data.name=rotten_tomatoes, not {self.name}"
        if self.max_shapes > MAX_SHAPES:
            yield "max_shapes", f"must be at most {MAX_SHAPES}"
        if self.text_column == self.label_column:
            yield "label_column", "must be another one than data.text_column"
        if self.name == "labelled_file":
            yield from table_problems(self)
