"""Pairs of texts to tokens and back."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.data.tokenizers import SavedTokenizer, tokenizer_from_json
from seqmodels.types import TokenInput, Tokenizer


@dataclasses.dataclass(frozen=True)
class PairTokenizer(SavedTokenizer):
    """A tokenizer a side, and two tokens behind the target's vocabulary of V.

    V is <bos>, which a target's inputs begin with, and V + 1 is <eos>, which its targets end with.
    With a shared vocabulary both sides have one tokenizer and V + 2 tokens.

    Attributes:
      source, target: of each side.
      shared: whether they are one.
    """

    source: Tokenizer
    target: Tokenizer
    shared: bool
    kind = "pair"

    @property
    def bos_id(self) -> int:
        return self.target.vocab_size

    @property
    def eos_id(self) -> int:
        return self.target.vocab_size + 1

    @property
    def source_input(self) -> TokenInput:
        """What an encoder reads."""
        return self.target_input if self.shared else TokenInput(self.source.vocab_size)

    @property
    def target_input(self) -> TokenInput:
        """What a decoder reads, and puts out."""
        return TokenInput(self.target.vocab_size + 2)

    def decode_target(self, ids: Any) -> str:
        """Returns the text of tokens [N] up to <eos>, <bos> left out."""
        ids = np.asarray(ids)
        ends = np.flatnonzero(ids == self.eos_id)
        ids = ids[: ends[0]] if len(ends) else ids
        return self.target.decode(ids[ids != self.bos_id])

    def to_json(self) -> dict[str, Any]:
        """Returns what `read_pair_tokenizer` reads back."""
        sides = {"source": self.source.to_json(), "target": self.target.to_json()}
        return {"kind": self.kind, "shared": self.shared, **sides}


def read_pair_tokenizer(path: Path) -> PairTokenizer:
    """Reads what `PairTokenizer.save` wrote.

    Raises:
      UserError: the file is missing or damaged.
    """
    try:
        match json.loads(path.read_text(encoding="utf-8")):
            case {"kind": "pair", "shared": bool(shared), "source": source, "target": target}:
                made = tokenizer_from_json(target)
                return PairTokenizer(made if shared else tokenizer_from_json(source), made, shared)
    except OSError as error:
        raise UserError(f"{path}: cannot read the tokenizer ({error.strerror})") from None
    except ValueError:
        pass
    raise UserError(f"{path}: not a tokenizer of pairs")
