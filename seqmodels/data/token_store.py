"""Texts tokenised once, and kept in the store of arrays."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.config.features import TokenizerKind, TokenizerSettings
from seqmodels.data import store
from seqmodels.data.tokenizers import (
    ByteTokenizer,
    CharacterTokenizer,
    UnknownSymbols,
    name_symbol,
    tokenizer_from_json,
)
from seqmodels.data.words import WordTokenizer
from seqmodels.types import Tokenizer

_CHUNK = 1 << 22  # characters tokenised at once, and up to a line more: bounds the memory
_TRAINING_CHUNK = 1 << 16  # characters that BPE is given at once: it counts them in parallel

Documents = Mapping[str, Sequence[str]]
"""Split name -> its documents, in order; the text of a split is their concatenation."""


@dataclasses.dataclass(frozen=True)
class TokenSplit:
    """Tokens of one split.

    Attributes:
      tokens: [N] uint8, uint16 or int32, memory-mapped.
      offsets: int64 [num_documents + 1]; document i is tokens[offsets[i]:offsets[i + 1]].
      num_characters: Unicode characters of the text.
    """

    tokens: np.ndarray
    offsets: np.ndarray
    num_characters: int = 0

    @property
    def num_documents(self) -> int:
        return len(self.offsets) - 1


@dataclasses.dataclass(frozen=True)
class TextSource:
    """Texts to be tokenised.

    Attributes:
      fingerprint: returns a hash of all that decides the documents.
      documents: reads them. The training split is called `train`, or `train.PART` where splits
        come in parts.
      description: what and where, for a person.
      section: of the config that has the settings of the tokenizer, for messages.
    """

    fingerprint: Callable[[], str]
    documents: Callable[[], Documents]
    description: str
    section: str = "data"


@dataclasses.dataclass(frozen=True)
class TokenStore:
    """The texts of one data set under one tokenizer.

    Attributes:
      tokenizer: maps the tokens back.
      splits: by name.
      fingerprint: sha256 over tokens and offsets of all splits and the tokenizer.
      notes: lines for the user that arose when the text was tokenised.
      where: directory of the store.
    """

    tokenizer: Tokenizer
    splits: dict[str, TokenSplit]
    fingerprint: str
    notes: list[str]
    where: Path


def compute_fingerprint(tokenizer: Tokenizer, splits: Mapping[str, TokenSplit]) -> str:
    """Returns sha256 over the tokenizer and, in the order of the splits, tokens and offsets."""
    digest = hashlib.sha256(json.dumps(tokenizer.to_json(), sort_keys=True).encode())
    for name, split in splits.items():
        digest.update(f"{name} {split.tokens.dtype.str} {len(split.tokens)}\n".encode())
        digest.update(np.ascontiguousarray(split.tokens).data)
        digest.update(np.ascontiguousarray(split.offsets).data)
    return digest.hexdigest()


def open_tokens(
    source: TextSource, settings: TokenizerSettings, tokenizer: Tokenizer | None, cache: Path
) -> TokenStore:
    """Returns the tokens of a data set, tokenising it first where the cache lacks it.

    Args:
      settings: of the tokenizer that is made from the training split.
      tokenizer: used instead of one made from the training split.
      cache: directory of the store.

    Raises:
      UserError: the text is at fault (see the data sets), it has symbols that the tokenizer lacks,
        or the cache cannot be written.
    """
    text = source.fingerprint()
    own = {
        "kind": str(settings.tokenizer),
        "vocab_size": settings.vocab_size,
        "min_count": settings.min_count,
        "unknown_symbols": settings.unknown_symbols,
    }
    where = store.place(cache, "tokens", [text, own])
    if tokenizer is not None:
        # A run's tokenizer usually is the one that its data make.
        found = store.read_arrays(where)
        if found is not None and found.meta["tokenizer"] == _normal(tokenizer):
            return _unpack(found)
        where = store.place(cache, "tokens", [text, tokenizer.to_json()])

    def make() -> store.Content:
        documents = source.documents()
        if source.fingerprint() != text:
            raise UserError(f"{source.description}: changed while it was read")
        return _tokenise_all(documents, source, settings, tokenizer)

    return _unpack(store.open_arrays(cache, where, make))


def _normal(tokenizer: Tokenizer) -> Any:
    """A tokenizer's JSON as it is read back."""
    return json.loads(json.dumps(tokenizer.to_json()))


def _unpack(entry: store.StoredArrays) -> TokenStore:
    meta = entry.meta
    splits = {
        name: TokenSplit(
            entry.arrays[f"{name}.tokens"], np.asarray(entry.arrays[f"{name}.offsets"]), characters
        )
        for name, characters in meta["characters"].items()
    }
    tokenizer = tokenizer_from_json(meta["tokenizer"])
    return TokenStore(tokenizer, splits, meta["fingerprint"], meta["notes"], entry.where)


def _tokenise_all(
    documents: Documents,
    source: TextSource,
    settings: TokenizerSettings,
    tokenizer: Tokenizer | None,
) -> store.Content:
    notes: list[str] = []
    owner = "the tokenizer of the run" if tokenizer is not None else "the training split"
    if tokenizer is None:
        parts = (texts for n, texts in documents.items() if n.partition(".")[0] == "train")
        tokenizer = make_tokenizer(settings, list(itertools.chain.from_iterable(parts)))
        bpe = settings.tokenizer is TokenizerKind.BPE
        if bpe and tokenizer.vocab_size != settings.vocab_size:
            few = f"gives only {tokenizer.vocab_size} tokens: no more pairs occur twice"
            field = f"{source.section}.vocab_size={settings.vocab_size}"
            notes.append(f"{field}: the training split {few}")
    splits, arrays = {}, {}
    for name, texts in documents.items():
        split, missing = _tokenise(texts, tokenizer, name, owner, source.section)
        if missing:
            counted = f"{len(split.tokens)} {tokenizer.unit}s"
            share = missing.total() / len(split.tokens)
            notes.append(_describe_missing(name, owner, missing, counted, share))
        splits[name] = split
        arrays |= {f"{name}.tokens": split.tokens, f"{name}.offsets": split.offsets}
    return arrays, {
        "fingerprint": compute_fingerprint(tokenizer, splits),
        "source": source.description,
        "tokenizer": tokenizer.to_json(),
        "characters": {name: split.num_characters for name, split in splits.items()},
        "notes": notes,
    }


def make_tokenizer(settings: TokenizerSettings, training: list[str]) -> Tokenizer:
    """Returns the tokenizer that the documents of the training split make."""
    match settings.tokenizer:
        case TokenizerKind.BYTE:
            return ByteTokenizer()
        case TokenizerKind.CHARACTER:
            return CharacterTokenizer.train(training, settings.unknown_symbols)
        case TokenizerKind.WORD:
            return WordTokenizer.train(training, settings.min_count, settings.vocab_size)
        case TokenizerKind.BPE:
            from seqmodels.data.huggingface import train_byte_pairs

            assert settings.vocab_size is not None
            pieces = (p for text in training for p in cut_after_lines(text, _TRAINING_CHUNK))
            return train_byte_pairs(pieces, settings.vocab_size)
    raise ValueError(f"tokenizer={settings.tokenizer} is not made from a text")


def _tokenise(
    texts: Sequence[str], tokenizer: Tokenizer, name: str, owner: str, section: str
) -> tuple[TokenSplit, collections.Counter[str]]:
    """Returns the split, and how often each symbol occurs in it that the tokenizer lacks."""
    dtype = np.min_scalar_type(tokenizer.vocab_size - 1)
    dtype = np.dtype(np.int32) if dtype.itemsize > 2 else dtype
    missing: collections.Counter[str] = collections.Counter()
    parts, lengths, characters = [np.zeros(0, dtype)], [0], 0
    for text in texts:
        length = 0
        for piece in cut_after_lines(text, _CHUNK):
            try:
                ids = tokenizer.encode(piece, unknown=True)
            except UnknownSymbols as error:
                symbols = [(symbol, at + characters) for symbol, at in error.symbols]
                field = f"{section}.unknown_symbols=false"
                where = f"{field}: the {name} split, against {owner},"
                raise UnknownSymbols(symbols, error.total, where) from None
            if tokenizer.unknown_id is not None and (ids == tokenizer.unknown_id).any():
                missing.update(tokenizer.count_unknown(piece))
            parts.append(ids.astype(dtype))
            length += len(ids)
            characters += len(piece)
        lengths.append(length)
    offsets = np.cumsum(lengths, dtype=np.int64)
    return TokenSplit(np.concatenate(parts), offsets, characters), missing


def cut_after_lines(text: str, size: int) -> Iterator[str]:
    """Cuts a text after the first line feed that leaves a piece of `size` characters or more.

    So no word is cut, and what a tokenizer of lines sees does not depend on `size`.
    """
    start = 0
    while start < len(text):
        end = text.find("\n", start + size - 1) + 1 or len(text)
        yield text[start:end]
        start = end


def _describe_missing(
    name: str, owner: str, missing: collections.Counter[str], counted: str, share: float
) -> str:
    examples = ", ".join(f"{name_symbol(symbol)} x {n}" for symbol, n in missing.most_common(5))
    return (
        f"{missing.total()} of {counted} ({share:.3%}) of the {name} split are not in the "
        f"vocabulary of {owner} and become <unk>: {len(missing)} distinct: {examples}"
    )
