"""A small text as data, without a data set."""

from __future__ import annotations

import numpy as np

from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.data.text import TextData, as_features
from seqmodels.data.token_store import TokenSplit
from seqmodels.data.tokenizers import CharacterTokenizer
from seqmodels.tasks.language_model import LanguageModel

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
    task, features = LanguageModel(LanguageModelConfig()), as_features(tokenizer)
    spec, print_ = task.make_spec(features), f"fingerprint-{unknown_in}"
    return TextData(spec, features, tokenizer, print_, splits, "nowhere", [], task)
