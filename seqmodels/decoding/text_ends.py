"""Ends of texts during generation: where they are, and which tokens would reach them early."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int

from seqmodels.types import Tokenizer


class GrowingTexts:
    """Texts that grow by tokens until they contain `end` or reach one of `eos_ids`, each by itself.

    The end is a string, however the tokenizer splits it: it may begin in the prompt and stop within
    a token, and the rest of that token is then not part of the text. A token of `eos_ids` is not
    part of the text either.

    Attributes:
      continuations: each text after its prompt, up to and including the end.
      ended: [B] bool, whether a text has reached its end.
      can_end: whether there is an end at all.

    Args:
      tokenizer: decodes the tokens.
      prompts, tokens: each text so far, and its tokens.
      end: empty = no string ends a text.
      eos_ids: tokens that end a text.
      min_tokens: fewest new tokens. Tokens that would complete the end sooner are forbidden. With a
        tokenizer that loses part of a text an end may still appear sooner; it is ignored.
      resumed: the texts were interrupted, and `prompts` is not used: their last character may be
        unfinished in `tokens`.
      on_text: called with the number of a text and its next piece, whole characters only.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        prompts: Sequence[str],
        tokens: Sequence[np.ndarray],
        *,
        end: str = "",
        eos_ids: Sequence[int] = (),
        min_tokens: int = 0,
        resumed: bool = False,
        on_text: Callable[[int, str], None] | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._end, self._least, self._on_text = end, min_tokens, on_text
        self._eos = np.array(eos_ids, np.int32)
        self._streams = [tokenizer.decode_stream(() if resumed else one) for one in tokens]
        if resumed:
            prompts = [s.feed(one) for s, one in zip(self._streams, tokens, strict=True)]
        self._prompts = prompts
        self._tails = [self._tail(prompt) for prompt in prompts]
        self._made = 0
        self.continuations = [""] * len(prompts)
        self.ended = np.zeros(len(prompts), bool)
        self.can_end = bool(end) or len(self._eos) > 0

    def take(self, new: Int[np.ndarray, "B N"]) -> None:
        """Appends the next tokens to all texts; sets those after an end to -1."""
        for row, tokens in enumerate(new):
            written, kept = "", 0
            stops = np.flatnonzero(np.isin(tokens, self._eos))
            last = int(stops[0]) if len(stops) else len(tokens)
            # One at a time only if it matters which of them completes the end.
            step = 1 if self._end else max(last, 1)
            while kept < last and not self.ended[row]:
                text = self._streams[row].feed(tokens[kept : kept + step])
                kept += step
                written += self._cut(row, text, self._made + kept)
            if len(stops) and not self.ended[row]:
                kept = last + 1
                written += self._cut(row, self._streams[row].flush(), self._made + kept)
                self.ended[row] = True
            tokens[kept:] = -1
            self._write(row, written)
        self._made += new.shape[1]

    def finish(self) -> None:
        """Writes what is left of unfinished characters."""
        for row in np.flatnonzero(~self.ended).tolist():
            self._write(row, self._cut(row, self._streams[row].flush(), self._made))

    def _cut(self, row: int, text: str, made: int) -> str:
        """Returns the part of `text` up to the end.

        Args:
          text: the next piece of a row.
          made: new tokens of the row, those of this piece included.
        """
        if not self._end:
            return text
        before = self._tails[row]
        whole = before + text
        at = whole.find(self._end) if made >= self._least else -1
        self.ended[row] = at >= 0
        self._tails[row] = self._tail(whole)
        return text if at < 0 else whole[len(before) : at + len(self._end)]

    def _tail(self, text: str) -> str:
        """Returns the last characters of a text, which may be the beginning of an end."""
        return text[max(len(text) - len(self._end) + 1, 0) :]

    def _write(self, row: int, text: str) -> None:
        self.continuations[row] += text
        if text and self._on_text is not None:
            self._on_text(row, text)

    def forbidden(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Returns `end_table`, the state of each text [B], and min_tokens."""
        table, states = np.zeros((1, self._tokenizer.vocab_size), np.int32), self.ended * 0
        if not self._least:
            return table, states, 0
        if self._end:
            states = np.array([end_state(prompt, self._end) for prompt in self._prompts])
            table = end_table(self._tokenizer, self._end)
        table[:, self._eos] = -1
        return table, states, self._least


def end_state(text: str, end: str) -> int:
    """Returns the state of a text, a row of `end_table`."""
    written, wanted = text.encode(), end.encode()
    begun = next(n for n in reversed(range(len(wanted))) if written.endswith(wanted[:n]))
    starts_line = not written or written.endswith(b"\n")
    return len(wanted) if begun == 0 and starts_line else begun


def end_table(tokenizer: Tokenizer, end: str) -> Int[np.ndarray, "S V"]:
    """Transitions of the automaton that finds `end`: the next state for each state and token.

    In state n a text ends with the first n bytes of `end`, and with no longer beginning of it. The
    last state is like state 0, but at the start of a line, where words have no space before them.
    -1: the token completes the end. With one byte per token this is the automaton of Knuth, Morris
    and Pratt (1977).
    """
    wanted = end.encode()
    size = len(wanted)
    steps = np.full((size + 1, 256), size, np.int32)  # `size`: complete, and it stays so
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
    """States [S, V] after the bytes of each piece, from each state; the last is like the first."""
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
