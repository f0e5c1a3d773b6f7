"""The texts of a request while they are written: where each ends, and what may end it too early."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int

from seqmodels.types import Tokenizer


class Texts:
    """Texts that grow by tokens; each ends for itself, where what was written contains `end`.

    However a tokenizer cuts it: an end may begin in the prompt and stop within a token, and what
    that token has behind it is no part of the text.

    Attributes:
      continuations: of each text what stands behind its prompt, up to the end and with it.
      ended: [B] bool, which have come to their end.

    Args:
      prompts, tokens: of each text what it goes on from, and its tokens.
      end: none = texts have no end.
      min_tokens: least new tokens. What completes the end before is forbidden; where a tokenizer
        loses so much of a text that it comes nevertheless, it is passed over.
      on_text: called with the number of a text and the next piece of it, whole characters only.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        prompts: Sequence[str],
        tokens: Sequence[np.ndarray],
        *,
        end: str = "",
        min_tokens: int = 0,
        on_text: Callable[[int, str], None] | None = None,
    ) -> None:
        self._tokenizer, self._prompts = tokenizer, prompts
        self._end, self._least, self._on_text = end, min_tokens, on_text
        self._streams = [tokenizer.decode_stream(one) for one in tokens]
        self._tails = [self._tail(prompt) for prompt in prompts]
        self._made = 0
        self.continuations = [""] * len(prompts)
        self.ended = np.zeros(len(prompts), bool)

    def take(self, new: Int[np.ndarray, "B N"]) -> None:
        """Reads the next tokens of all texts; overwrites with -1 those behind an end."""
        for row, tokens in enumerate(new):
            written, kept = "", 0
            # One by one only where it matters which of them has the end.
            step = 1 if self._end else len(tokens)
            while kept < len(tokens) and not self.ended[row]:
                text = self._streams[row].feed(tokens[kept : kept + step])
                kept += step
                written += self._cut(row, text, self._made + kept)
            tokens[kept:] = -1
            self._tell(row, written)
        self._made += new.shape[1]

    def finish(self) -> None:
        """Writes what unfinished characters leave behind."""
        for row in np.flatnonzero(~self.ended).tolist():
            self._tell(row, self._cut(row, self._streams[row].flush(), self._made))

    def _cut(self, row: int, text: str, made: int) -> str:
        """What of `text`, the next piece of a row that then has `made` tokens, belongs to it."""
        if not self._end:
            return text
        before = self._tails[row]
        whole = before + text
        at = whole.find(self._end) if made >= self._least else -1
        self.ended[row] = at >= 0
        self._tails[row] = self._tail(whole)
        return text if at < 0 else whole[len(before) : at + len(self._end)]

    def _tail(self, text: str) -> str:
        """What of a text may be the beginning of an end that goes on behind it."""
        return text[max(len(text) - len(self._end) + 1, 0) :]

    def _tell(self, row: int, text: str) -> None:
        self.continuations[row] += text
        if text and self._on_text is not None:
            self._on_text(row, text)

    def forbidden(self) -> tuple[np.ndarray, np.ndarray, int]:
        """The table of `end_table`, where each text [B] stands in it, and min_tokens."""
        if not self._least:
            return np.zeros((1, self._tokenizer.vocab_size), np.int32), self.ended * 0, 0
        states = [end_state(prompt, self._end) for prompt in self._prompts]
        table = end_table(self._tokenizer, self._end)
        return table, np.array(states), self._least


def end_state(text: str, end: str) -> int:
    """The row of `end_table` that a text stands in."""
    written, wanted = text.encode(), end.encode()
    begun = next(n for n in reversed(range(len(wanted))) if written.endswith(wanted[:n]))
    starts_line = not written or written.endswith(b"\n")
    return len(wanted) if begun == 0 and starts_line else begun


def end_table(tokenizer: Tokenizer, end: str) -> Int[np.ndarray, "S V"]:
    """Which row each token leads to from each row: how much of an end stands at a text's end.

    Row n: its first n bytes, and not more. The last row: none, at the beginning of a line, where
    words have no space before them. -1: the token completes the end. For one byte a token this is
    the automaton of Knuth, Morris and Pratt (1977).
    """
    wanted = end.encode()
    size = len(wanted)
    steps = np.full((size + 1, 256), size, np.int32)  # row `size`: complete, and it stays so
    for begun in range(size):
        for byte in range(256):
            text = wanted[:begun] + bytes([byte])
            rest = reversed(range(begun + 2))
            steps[begun, byte] = next(n for n in rest if text.endswith(wanted[:n]))
    within, starting = (
        _follow(steps, tokenizer.pieces(starts_line=starts_line)) for starts_line in (False, True)
    )
    breaks = np.array([p.endswith(b"\n") for p in tokenizer.pieces(starts_line=True)])
    at_start = [wanted[:begun].endswith(b"\n") for begun in range(size)]
    table = np.where(np.array([*at_start, True])[:, None], starting, within)
    return np.where(table == size, -1, np.where((table == 0) & breaks[None], size, table))


def _follow(steps: np.ndarray, pieces: list[bytes]) -> np.ndarray:
    """Where the bytes of each piece lead to from each row; the last row is as the first."""
    lengths = np.array([len(piece) for piece in pieces])
    width = int(lengths.max())
    content = np.frombuffer(b"".join(p.ljust(width, b"\0") for p in pieces), np.uint8)
    content = content.reshape(len(pieces), width)
    begun = np.append(np.arange(len(steps) - 1, dtype=np.int32), np.int32(0))
    states = np.repeat(begun[:, None], len(pieces), axis=1)
    for place in range(width):
        after = steps[states, content[None, :, place]]
        states = np.where(place < lengths[None], after, states)
    return states
