"""Tokenizers turn text into tokens and back; those of bytes and characters lose nothing."""

from __future__ import annotations

import codecs
import collections
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.files import replacing

if TYPE_CHECKING:
    from seqmodels.types import TextStream, Tokenizer


TOKENIZER_FILE = "tokenizer.json"
"""Of a work directory over a stream of text."""
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_NUM_NAMED, _LONGEST_NAMED = 5, 40


class UnknownSymbols(UserError):
    """Text holds symbols outside the vocabulary.

    Attributes:
      symbols: the first few distinct ones, each with its first position in characters.
      total: how many symbols of the text are unknown.
    """

    def __init__(
        self,
        symbols: list[tuple[str, int]],
        total: int,
        where: str = "the text",
        noun: str = "symbol",
    ) -> None:
        self.symbols, self.total = symbols, total
        named = ", ".join(f"{name_symbol(symbol)} at character {at}" for symbol, at in symbols)
        plural = f"a {noun}" if total == 1 else f"{total} {noun}s"
        super().__init__(f"{where} has {plural} outside the vocabulary: {named}")


def name_symbol(symbol: str) -> str:
    """A character with its code, a word in quotation marks."""
    if len(symbol) > 1:
        cut = len(symbol) > _LONGEST_NAMED
        return repr(f"{symbol[:_LONGEST_NAMED]}..." if cut else symbol)
    code = f"U+{ord(symbol):04X}"
    return f"{symbol!r} ({code})" if symbol.isprintable() else code


class SavedTokenizer:
    """Base class of tokenizers that are saved as JSON, and put nothing around a text."""

    start = end = np.zeros(0, np.int32)
    eos_ids: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `tokenizer_from_json` reads."""
        raise NotImplementedError

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes `path`, whole or not at all."""
        with replacing(Path(path)) as partial, partial.open("w", encoding="utf-8") as file:
            json.dump(self.to_json(), file, ensure_ascii=False, allow_nan=False)


class _Plain(SavedTokenizer):
    lossless = True


class ByteTokenizer(_Plain):
    """UTF-8 bytes: 256 tokens, loses nothing."""

    kind = unit = "byte"
    vocab_size = 256
    unknown_id: int | None = None
    mask_id: int | None = None

    def __init__(self) -> None:
        self.byte_lengths = np.ones(256, np.int64)

    def encode(self, text: str, *, unknown: bool = False) -> np.ndarray:
        """Returns tokens [N] int32.

        Raises:
          UnknownSymbols: for halves of surrogate pairs, which UTF-8 does not have.
        """
        try:
            encoded = text.encode()
        except UnicodeEncodeError:
            raise_unknown([(c, i) for i, c in enumerate(text) if "\ud800" <= c <= "\udfff"])
        return np.frombuffer(encoded, np.uint8).astype(np.int32)

    def count_unknown(self, text: str) -> collections.Counter[str]:
        """None: every text is bytes."""
        return collections.Counter()

    def decode(self, ids: Any) -> str:
        """Returns the text of tokens [N]; bytes that are not UTF-8 become U+FFFD."""
        return np.asarray(ids).astype(np.uint8).tobytes().decode(errors="replace")

    def decode_stream(self, after: Any = ()) -> TextStream:
        """Returns a decoder that holds back the bytes of an unfinished character."""
        return _ByteStream()

    def pieces(self, *, starts_line: bool) -> list[bytes]:
        """Returns the bytes."""
        return [bytes([byte]) for byte in range(self.vocab_size)]

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `tokenizer_from_json` reads."""
        return {"kind": self.kind}


class _ByteStream:
    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, ids: Any) -> str:
        return self._decoder.decode(np.atleast_1d(np.asarray(ids)).astype(np.uint8).tobytes())

    def flush(self) -> str:
        text = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return text


class CharacterTokenizer(_Plain):
    """One token a Unicode code point, in code point order; line ends are kept as they are.

    Args:
      symbols: the vocabulary, distinct characters in code point order.
      unknown_symbols: whether token 0 is <unk>, which decodes to U+FFFD.
    """

    kind = unit = "character"
    mask_id: int | None = None

    def __init__(self, symbols: str, unknown_symbols: bool) -> None:
        self.symbols = symbols
        self.unknown_id: int | None = 0 if unknown_symbols else None
        codes = _code_points(symbols)
        if symbols and np.any(np.diff(codes.astype(np.int64)) <= 0):
            raise ValueError("symbols must be distinct and in code point order")
        first = int(unknown_symbols)
        self.vocab_size = first + len(codes)
        self._codes = np.concatenate([_code_points(_REPLACEMENT)[:first], codes])
        self._table = np.full(int(codes.max(initial=0)) + 2, -1, np.int32)
        self._table[codes] = np.arange(first, self.vocab_size)
        lengths = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
        self.byte_lengths = np.concatenate([np.zeros(first, np.int64), lengths])

    @classmethod
    def train(cls, documents: Iterable[str], unknown_symbols: bool) -> CharacterTokenizer:
        """Returns the tokenizer of the characters that occur in `documents`."""
        seen = np.zeros(0x110000, bool)
        for text in documents:
            seen[_code_points(text)] = True
        symbols = np.flatnonzero(seen).astype("<u4").tobytes().decode("utf-32-le")
        return cls(symbols, unknown_symbols)

    def encode(self, text: str, *, unknown: bool = False) -> np.ndarray:
        """Returns tokens [N] int32.

        Args:
          text: any string.
          unknown: symbols outside the vocabulary become `unknown_id` where the tokenizer has one.

        Raises:
          UnknownSymbols: names the symbols and where they stand.
        """
        codes = _code_points(text)
        # The last entry of the table belongs to no symbol: all code points beyond it share it.
        ids = self._table[np.minimum(codes, len(self._table) - 1)]
        missing = np.flatnonzero(ids < 0)
        if missing.size:
            if not unknown or self.unknown_id is None:
                raise_unknown([(text[i], i) for i in missing.tolist()])
            ids[missing] = self.unknown_id
        return ids

    def count_unknown(self, text: str) -> collections.Counter[str]:
        """How often each character occurs in `text` that is outside the vocabulary."""
        known = set(self.symbols)
        return collections.Counter(c for c in text if c not in known)

    def decode(self, ids: Any) -> str:
        """Returns the text of tokens [N]."""
        codes = self._codes[np.atleast_1d(np.asarray(ids))]
        return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")

    def decode_stream(self, after: Any = ()) -> TextStream:
        """Returns a decoder; every token is a whole character."""
        return _CharacterStream(self)

    def pieces(self, *, starts_line: bool) -> list[bytes]:
        """Returns the characters, U+FFFD for <unk>."""
        return [self.decode(i).encode("utf-8", "surrogatepass") for i in range(self.vocab_size)]

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `tokenizer_from_json` reads."""
        unknown = self.unknown_id is not None
        return {"kind": self.kind, "unknown_symbols": unknown, "symbols": self.symbols}


class _CharacterStream:
    def __init__(self, tokenizer: CharacterTokenizer) -> None:
        self._tokenizer = tokenizer

    def feed(self, ids: Any) -> str:
        return self._tokenizer.decode(ids)

    def flush(self) -> str:
        return ""


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def raise_unknown(found: list[tuple[str, int]], noun: str = "symbol") -> NoReturn:
    """Raises `UnknownSymbols` for the symbols `found` in a text, with their positions."""
    first: dict[str, int] = {}
    for symbol, position in found:
        first.setdefault(symbol, position)
        if len(first) == _NUM_NAMED:
            break
    raise UnknownSymbols(list(first.items()), len(found), noun=noun)


def tokenizer_from_json(saved: Any) -> Tokenizer:
    """Returns the tokenizer that `to_json` described; raises ValueError on anything else."""
    match saved:
        case {"kind": "byte"}:
            return ByteTokenizer()
        case {"kind": "character", "symbols": str(symbols), "unknown_symbols": bool(unknown)}:
            return CharacterTokenizer(symbols, unknown)
        case {"kind": "word", "words": list(words)} if all(isinstance(w, str) for w in words):
            from seqmodels.data.words import WordTokenizer

            return WordTokenizer(words)
        case {"kind": "huggingface", "tokenizer": dict(description), "vocab_size": int(size)}:
            from seqmodels.data.huggingface import HuggingFaceTokenizer
            from seqmodels.data.special_tokens import SpecialTokens

            special = SpecialTokens.from_json(saved.get("special", {}))
            return HuggingFaceTokenizer(description, size, special)
    raise ValueError("not a known kind of tokenizer")


def load_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """Reads what `save` wrote.

    Raises:
      UserError: the file is missing or damaged.
    """
    try:
        return tokenizer_from_json(json.loads(Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"{path}: cannot read the tokenizer ({error.strerror})") from None
    except ValueError as error:
        raise UserError(f"{path}: not a tokenizer file ({error})") from None
