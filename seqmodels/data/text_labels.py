"""What maps between texts with their classes and numbers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.data.tokenizers import (
    SavedTokenizer,
    Tokenizer,
    load_tokenizer,
    tokenizer_from_json,
)
from seqmodels.types import Batch, TokenInput

CLASS_TOKEN = "[CLS]"


@dataclasses.dataclass(frozen=True)
class TextLabels(SavedTokenizer):
    """A tokenizer and the names of the classes.

    Attributes:
      tokenizer: of the texts.
      names: of the classes 0, 1, ..
      class_token: whether there is a token [CLS] behind the tokenizer's own V. A masked language
        model keeps its mask there, so that the tables of both are of one size.
    """

    tokenizer: Tokenizer
    names: tuple[str, ...]
    class_token: bool
    kind = "text_labels"

    @property
    def inputs(self) -> TokenInput:
        """What a model reads."""
        return TokenInput(self.tokenizer.vocab_size + self.class_token)

    @property
    def start(self) -> np.ndarray:
        """What a row begins with, int32: what the tokenizer puts there, or else [CLS]."""
        own = self.tokenizer.start
        if len(own) or not self.class_token:
            return own
        return np.array([self.tokenizer.vocab_size], np.int32)

    def show(self, batch: Batch, row: int) -> str:
        """An example as text."""
        tokens = batch.inputs[row][batch.segment_ids[row] > 0]
        text = self.tokenizer.decode(tokens[tokens < self.tokenizer.vocab_size])
        return f"{CLASS_TOKEN} {text}" if self.tokenizer.vocab_size in tokens else text

    def to_json(self) -> dict[str, Any]:
        """Returns what `read_text_labels` reads back."""
        return {
            "kind": self.kind,
            "tokenizer": self.tokenizer.to_json(),
            "names": list(self.names),
            "class_token": self.class_token,
        }


def read_text_labels(path: Path) -> TextLabels:
    """Reads what `TextLabels.save` wrote.

    Raises:
      UserError: the file is missing or damaged.
    """
    try:
        match json.loads(path.read_text(encoding="utf-8")):
            case {
                "kind": "text_labels",
                "tokenizer": saved,
                "names": list(names),
                "class_token": bool(class_token),
            }:
                classes = tuple(map(str, names))
                return TextLabels(tokenizer_from_json(saved), classes, class_token)
    except OSError as error:
        raise UserError(f"{path}: cannot read the tokenizer ({error.strerror})") from None
    except ValueError:
        pass
    raise UserError(f"{path}: not a tokenizer with classes")


def read_any_tokenizer(path: Path) -> Tokenizer:
    """Reads the tokenizer that a run over texts keeps, whether they have classes or not.

    Raises:
      UserError: the file is missing or damaged, or has a tokenizer for each of two sides.
    """
    try:
        return load_tokenizer(path)
    except UserError as error:
        try:
            return read_text_labels(path).tokenizer
        except UserError:
            raise error from None
