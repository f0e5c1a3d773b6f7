"""Words as tokens, in the protocol of the Penn Treebank and WikiText papers."""

from __future__ import annotations

import collections
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from seqmodels.data.tokenizers import SavedTokenizer, raise_unknown

if TYPE_CHECKING:
    from seqmodels.types import TextStream


UNKNOWN, END_OF_LINE = "<unk>", "<eos>"
_MARKS = (UNKNOWN, END_OF_LINE)
_WORD = re.compile(r"\S+")


class WordTokenizer(SavedTokenizer):
    """One token per word, which is text between white space. A line feed is the token <eos>.

    Token 0 is <unk>, which replaces every other word, and token 1 is <eos>; a text that has them
    as words means the same tokens. How much white space there was is lost, and what words became
    <unk>. Source: Mikolov et al., 2010 (Penn Treebank); Merity et al., 2016, arXiv:1609.07843.

    Args:
      words: the others, tokens 2, 3, ..

    Raises:
      ValueError: a word twice, with white space, or one of the two.
    """

    kind = unit = "word"
    lossless = False
    mask_id: int | None = None

    def __init__(self, words: list[str]) -> None:
        self.words = [*_MARKS, *words]
        self.vocab_size = len(self.words)
        self._ids = {word: index for index, word in enumerate(self.words)}
        if len(self._ids) != self.vocab_size or any(word.split() != [word] for word in words):
            raise ValueError("words must be distinct and without white space")
        self.unknown_id: int | None = self._ids[UNKNOWN]
        self.eos_id = self._ids[END_OF_LINE]
        # A surrogate alone is a word that no text in UTF-8 has.
        lengths = [len(word.encode("utf-8", "surrogatepass")) for word in self.words]
        self.byte_lengths = np.array(lengths, np.int64)
        self.byte_lengths[[self.unknown_id, self.eos_id]] = 0, 1

    @classmethod
    def train(
        cls, documents: Iterable[str], min_count: int = 1, vocab_size: int | None = None
    ) -> WordTokenizer:
        """Returns the tokenizer of the words of `documents`, the most frequent first.

        Args:
          documents: what is counted; words of one count are put in code point order.
          min_count: words that occur fewer times are left out.
          vocab_size: most tokens, <unk> and <eos> among them; none = as many as there are.
        """
        counts = collections.Counter[str]()
        for text in documents:
            counts.update(text.split())
        for mark in _MARKS:
            del counts[mark]
        frequent = [(-count, word) for word, count in counts.items() if count >= min_count]
        most = None if vocab_size is None else vocab_size - len(_MARKS)
        return cls([word for _, word in sorted(frequent)[:most]])

    def encode(self, text: str, *, unknown: bool = False) -> np.ndarray:
        """Returns tokens [N] int32.

        Args:
          text: any string.
          unknown: words outside the vocabulary become <unk>.

        Raises:
          UnknownSymbols: names the words and where they stand.
        """
        get = self._ids.get
        ids = np.array([get(word, -1) for word in _split(text)], np.int32)
        missing = ids < 0
        if missing.any():
            if not unknown:
                words = (match for match in _WORD.finditer(text) if match[0] not in self._ids)
                raise_unknown([(match[0], match.start()) for match in words], "word")
            ids[missing] = self._ids[UNKNOWN]
        return ids

    def count_unknown(self, text: str) -> collections.Counter[str]:
        """How often each word occurs in `text` that is outside the vocabulary."""
        return collections.Counter(word for word in text.split() if word not in self._ids)

    def decode(self, ids: Any) -> str:
        """Returns the words of tokens [N] with a space between them, a line feed for <eos>."""
        return self.decode_stream().feed(ids)

    def decode_stream(self, after: Any = ()) -> TextStream:
        """Returns a decoder; the first word is set apart from the tokens `after` by a space."""
        return _WordStream(self, np.atleast_1d(np.asarray(after)))

    def pieces(self, *, starts_line: bool) -> list[bytes]:
        """Returns the words, each after a space unless it starts a line."""
        space = "" if starts_line else " "
        pieces = [f"{space}{word}".encode("utf-8", "surrogatepass") for word in self.words]
        pieces[self.eos_id] = b"\n"
        return pieces

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `tokenizer_from_json` reads."""
        return {"kind": self.kind, "words": self.words[len(_MARKS) :]}


class _WordStream:
    def __init__(self, tokenizer: WordTokenizer, after: np.ndarray) -> None:
        self._words, self._eos = tokenizer.words, tokenizer.eos_id
        self._in_line = after.size > 0 and int(after[-1]) != self._eos

    def feed(self, ids: Any) -> str:
        parts = []
        for token in np.atleast_1d(np.asarray(ids)).tolist():
            if token == self._eos:
                parts.append("\n")
            else:
                parts.append(f" {self._words[token]}" if self._in_line else self._words[token])
            self._in_line = token != self._eos
        return "".join(parts)

    def flush(self) -> str:
        return ""


def _split(text: str) -> list[str]:
    return text.replace("\n", f" {END_OF_LINE} ").split()
