"""A small text, as data, without a data set behind it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seqmodels.data.pipeline import TextData
from seqmodels.data.store import TokenSplit
from seqmodels.data.tokenizers import CharacterTokenizer
from seqmodels.types import DataSpec, TokenInput, VocabOutput

# Two, three and four bytes in UTF-8 among them.
SYMBOLS = "abcdé水𝄞"


def make_data(unknown_in: str | None = None) -> TextData:
    """Text of three splits; `unknown_in` names one that the tokenizer loses something of."""
    tokenizer = CharacterTokenizer("".join(sorted(SYMBOLS)), unknown_symbols=True)
    rng = np.random.default_rng(0)
    splits = {}
    for name, size in {"train": 4000, "validation": 1500, "test": 700}.items():
        # A walk, so that context helps.
        tokens = 1 + np.cumsum(rng.integers(0, 3, size)) % len(SYMBOLS)
        if name == unknown_in:
            tokens[-1] = 0
        splits[name] = TokenSplit(tokens.astype(np.uint8), np.array([0, size // 3, size]), size)
    size = tokenizer.vocab_size
    spec = DataSpec(TokenInput(size), VocabOutput(size))
    return TextData(spec, tokenizer, f"fingerprint-{unknown_in}", splits, Path("nowhere"), [])
