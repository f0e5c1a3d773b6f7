"""Token store: text tokenised once, kept as memory-mapped arrays in a cache directory.

An entry is a directory keyed by the content of the text and the tokenizer's settings. It is written
beside its place and renamed into it under a lock, so that it is there whole or not at all, and its
fingerprint is computed again whenever it is opened, so that damage shows and is mended.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import errno
import hashlib
import itertools
import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from seqmodels.config.data import PairsDataConfig, TextDataConfig, TokenizerKind
from seqmodels.config.errors import UserError
from seqmodels.config.labelled import LabelledTextDataConfig
from seqmodels.data.datasets.source import Documents, TextSource
from seqmodels.data.tokenizers import (
    ByteTokenizer,
    CharacterTokenizer,
    Tokenizer,
    UnknownSymbols,
    load_tokenizer,
    name_symbol,
)
from seqmodels.data.words import WordTokenizer

Tokenised = TextDataConfig | PairsDataConfig | LabelledTextDataConfig
"""Settings of a tokenizer that the training split makes."""
_FORMAT = 2
_CHUNK = 1 << 22  # characters tokenised at once, and up to a line more: bounds the memory
_TRAINING_CHUNK = 1 << 16  # characters that BPE is given at once: it counts them in parallel
_log = logging.getLogger(__name__)


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
class Entry:
    """What the store holds of one data set under one tokenizer.

    Attributes:
      tokenizer: maps the tokens back.
      splits: by name.
      fingerprint: sha256 over tokens and offsets of all splits and the tokenizer.
      notes: lines for the user that arose when the text was tokenised.
      where: its directory.
    """

    tokenizer: Tokenizer
    splits: dict[str, TokenSplit]
    fingerprint: str
    notes: list[str]
    where: Path


def compute_fingerprint(tokenizer: Tokenizer, splits: dict[str, TokenSplit]) -> str:
    """Returns sha256 over the tokenizer and, in the order of the splits, tokens and offsets."""
    digest = hashlib.sha256(json.dumps(tokenizer.to_json(), sort_keys=True).encode())
    for name, split in splits.items():
        digest.update(f"{name} {split.tokens.dtype.str} {len(split.tokens)}\n".encode())
        digest.update(np.ascontiguousarray(split.tokens).data)
        digest.update(np.ascontiguousarray(split.offsets).data)
    return digest.hexdigest()


def open_entry(
    source: TextSource,
    config: Tokenised,
    tokenizer: Tokenizer | None,
    cache: Path,
) -> Entry:
    """Returns the entry of a data set, tokenising it first where the cache lacks it.

    The training split is what is called `train`, or `train.PART` where splits come in parts.

    Args:
      source: the text.
      config: settings of the tokenizer that is made from the training split.
      tokenizer: used instead of one made from the training split.
      cache: directory of the store.

    Raises:
      UserError: the text is at fault (see the data sets), it has symbols that the tokenizer lacks,
        or the cache cannot be written.
    """
    text = source.fingerprint()
    own = {
        "kind": str(config.tokenizer),
        "vocab_size": config.vocab_size,
        "min_count": config.min_count,
        "unknown_symbols": config.unknown_symbols,
    }
    where = _place(cache, text, own)
    if tokenizer is not None:
        # A run's tokenizer mostly is the one that its data make.
        entry = _read_entry(where)
        if entry is not None and entry.tokenizer.to_json() == tokenizer.to_json():
            return entry
        where = _place(cache, text, tokenizer.to_json())
    entry = _read_entry(where)
    if entry is None:
        with explain_cache_errors(cache):
            where.parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(where.with_suffix(".lock")):
                entry = _read_entry(where)  # another process may have written it meanwhile
                if entry is None:
                    documents = source.documents()
                    if source.fingerprint() != text:
                        raise UserError(f"{source.description}: changed while it was read")
                    _write_entry(where, documents, source.description, config, tokenizer)
                    entry = _read_entry(where)
        if entry is None:
            raise UserError(f"{where}: what was written does not read back; is the disk sound?")
    return entry


def _place(cache: Path, text: Any, settings: dict[str, Any]) -> Path:
    key = json.dumps([_FORMAT, text, settings], sort_keys=True)
    return cache / "tokens" / hashlib.sha256(key.encode()).hexdigest()[:32]


def _read_entry(where: Path) -> Entry | None:
    """Returns None where there is no entry or a damaged one, which it reports."""
    try:
        if not where.is_dir():
            return None
        meta = json.loads((where / "entry.json").read_text(encoding="utf-8"))
        tokenizer = load_tokenizer(where / "tokenizer.json")
        splits = {
            name: TokenSplit(
                np.load(where / f"{name}.tokens.npy", mmap_mode="r"),
                np.load(where / f"{name}.offsets.npy"),
                characters,
            )
            for name, characters in meta["characters"].items()
        }
        if compute_fingerprint(tokenizer, splits) != meta["fingerprint"]:
            raise ValueError("its content does not match its fingerprint")
        return Entry(tokenizer, splits, meta["fingerprint"], meta["notes"], where)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, UserError) as error:
        _log.warning("token store: %s is damaged (%s): tokenising again", where, error)
        return None


def _write_entry(
    where: Path,
    documents: Documents,
    description: str,
    config: Tokenised,
    tokenizer: Tokenizer | None,
) -> None:
    """Call under the entry's lock."""
    notes: list[str] = []
    owner = "the tokenizer of the run" if tokenizer is not None else "the training split"
    if tokenizer is None:
        parts = (texts for n, texts in documents.items() if n.partition(".")[0] == "train")
        tokenizer = make_tokenizer(config, list(itertools.chain.from_iterable(parts)))
        if config.tokenizer is TokenizerKind.BPE and tokenizer.vocab_size != config.vocab_size:
            few = f"gives {tokenizer.vocab_size} tokens only: it has no more pairs that come twice"
            notes.append(f"data.vocab_size={config.vocab_size}: the training split {few}")
    partial = where.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    splits = {}
    for name, texts in documents.items():
        splits[name], missing = _tokenise(texts, tokenizer, name, owner)
        if missing:
            counted = f"{len(splits[name].tokens)} {tokenizer.unit}s"
            share = missing.total() / len(splits[name].tokens)
            notes.append(_describe_missing(name, owner, missing, counted, share))
        for part in ("tokens", "offsets"):
            with open(partial / f"{name}.{part}.npy", "wb") as file:
                np.save(file, getattr(splits[name], part))
                _sync(file)
    tokenizer.save(partial / "tokenizer.json")
    meta = {
        "fingerprint": compute_fingerprint(tokenizer, splits),
        "source": description,
        "characters": {name: split.num_characters for name, split in splits.items()},
        "notes": notes,
    }
    with open(partial / "entry.json", "w", encoding="utf-8") as file:
        json.dump(meta, file, indent=1, ensure_ascii=False)
        _sync(file)
    _sync_directory(partial)
    if where.exists():
        # Set aside first: a directory cannot be renamed onto one, and readers may have it open.
        damaged = where.with_suffix(".damaged")
        shutil.rmtree(damaged, ignore_errors=True)
        where.rename(damaged)
        shutil.rmtree(damaged, ignore_errors=True)
    partial.rename(where)
    _sync_directory(where.parent)


def make_tokenizer(config: Tokenised, training: list[str]) -> Tokenizer:
    """Returns the tokenizer that `config` has the documents of the training split make."""
    match config.tokenizer:
        case TokenizerKind.BYTE:
            return ByteTokenizer()
        case TokenizerKind.CHARACTER:
            return CharacterTokenizer.train(training, config.unknown_symbols)
        case TokenizerKind.WORD:
            return WordTokenizer.train(training, config.min_count, config.vocab_size)
        case TokenizerKind.BPE:
            from seqmodels.data.huggingface import train_byte_pairs

            assert config.vocab_size is not None
            pieces = (p for text in training for p in cut_behind_lines(text, _TRAINING_CHUNK))
            return train_byte_pairs(pieces, config.vocab_size)
    raise ValueError(f"data.tokenizer={config.tokenizer} is not made from a text")


def _tokenise(
    texts: list[str], tokenizer: Tokenizer, name: str, owner: str
) -> tuple[TokenSplit, collections.Counter[str]]:
    """Returns the split and how often each symbol occurs in it that the tokenizer lacks."""
    dtype = np.min_scalar_type(tokenizer.vocab_size - 1)
    dtype = np.dtype(np.int32) if dtype.itemsize > 2 else dtype
    missing: collections.Counter[str] = collections.Counter()
    parts, lengths, characters = [np.zeros(0, dtype)], [0], 0
    for text in texts:
        length = 0
        for piece in cut_behind_lines(text, _CHUNK):
            try:
                ids = tokenizer.encode(piece, unknown=True)
            except UnknownSymbols as error:
                symbols = [(symbol, at + characters) for symbol, at in error.symbols]
                where = f"data.unknown_symbols=false: the {name} split, against {owner},"
                raise UnknownSymbols(symbols, error.total, where) from None
            if tokenizer.unknown_id is not None and (ids == tokenizer.unknown_id).any():
                missing.update(tokenizer.count_unknown(piece))
            parts.append(ids.astype(dtype))
            length += len(ids)
            characters += len(piece)
        lengths.append(length)
    offsets = np.cumsum(lengths, dtype=np.int64)
    return TokenSplit(np.concatenate(parts), offsets, characters), missing


def cut_behind_lines(text: str, size: int) -> Iterator[str]:
    """Cuts a text behind the first line feed that leaves a piece `size` characters or more.

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


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def explain_cache_errors(cache: Path) -> Iterator[None]:
    """Turns a cache that is full or cannot be written into a line for the user."""
    try:
        yield
    except OSError as error:
        # None: numpy tells only how much of an array the disk took.
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, None)
        problem = "is full" if full else f"cannot be written ({error.strerror or error})"
        raise UserError(
            f"the cache directory {cache} {problem}; name another by data.cache_dir or by "
            "$SEQMODELS_CACHE_DIR"
        ) from None
