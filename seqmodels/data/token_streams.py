"""Text of tokens that come one after the other; unfinished characters are held back."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from seqmodels.data.huggingface import HuggingFaceTokenizer


class PieceStream:
    """Joins the bytes of pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, ids: Any) -> str:
        ids = np.atleast_1d(np.asarray(ids)).tolist()
        return self._decoder.decode(b"".join(self._pieces[i] for i in ids))

    def flush(self) -> str:
        text = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return text


class WindowStream:
    """Decodes the last pieces with and without the new ones; the difference is the new text."""

    def __init__(self, tokenizer: HuggingFaceTokenizer, after: Any) -> None:
        self._tokenizer = tokenizer
        self._before: list[int] = np.atleast_1d(np.asarray(after, np.int32)).tolist()[-16:]
        self._new: list[int] = []

    def feed(self, ids: Any) -> str:
        self._new += np.atleast_1d(np.asarray(ids)).tolist()
        text = self._difference()
        return "" if not text or text.endswith("\N{REPLACEMENT CHARACTER}") else self._tell(text)

    def flush(self) -> str:
        return self._tell(self._difference())

    def _difference(self) -> str:
        before = self._tokenizer.decode(self._before)
        return self._tokenizer.decode(self._before + self._new)[len(before) :]

    def _tell(self, text: str) -> str:
        self._before, self._new = (self._new or self._before)[-16:], []
        return text
