"""The bars of a voice in the order in which they are played: repeats, endings and parts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

from seqmodels.music.abc_notation import Bar

MOST_MINUTES = 60
"""Longest tune as played; an hour of sound takes 160 MB."""
MOST_BARS = 10_000
"""Most bars of a tune as played, however short they are."""
_MOST_PARTS = 1000


def parse_order(text: str) -> str:
    """Returns the parts that P: names in the order in which they are played (section 3.1.9).

    Args:
      text: content of P: in the header, such as 'AABB', 'A2.B2' or '((AB)3.(CD)3)2'.

    Raises:
      ValueError: the text is not an order of parts, or names more than 1,000.
    """
    open_: list[list[str]] = [[]]  # what each parenthesis that is open holds so far
    for word in re.findall(r"\d+|[^\s.]", text):
        if word == "(":
            open_.append([])
        elif word == ")" and len(open_) > 1:
            group = "".join(open_.pop())
            open_[-1].append(group)
        elif word.isascii() and word.isalpha():
            open_[-1].append(word)
        elif word.isascii() and word.isdecimal() and open_[-1] and 0 < int(word[:5]) <= _MOST_PARTS:
            open_[-1][-1] *= int(word[:5])
        else:
            raise ValueError(f"not an order of parts: {text[:40]!r}")
        if sum(map(len, open_[-1])) > _MOST_PARTS or len(open_) > _MOST_PARTS:
            raise ValueError(f"more than {_MOST_PARTS:,} parts")
    if len(open_) > 1:
        raise ValueError(f"not an order of parts: {text[:40]!r}")
    return "".join(open_[0])


def unfold(bars: list[Bar], order: str = "") -> list[Bar]:
    """Returns the bars in the order in which they are played.

    A repeat goes back to the last repeat sign, double bar line or end of a repeat before it,
    otherwise to the beginning. An ending is played in the rounds with its numbers. What comes
    before the first part is played once.

    Args:
      bars: of one voice, as written.
      order: names of the parts as they are played; empty: as written. Parts without bars are left
        out.

    Raises:
      ValueError: the result exceeds MOST_BARS or MOST_MINUTES.
    """
    played: list[Bar] = []
    minutes = Fraction(0)
    for bar in _in_parts(bars, order) if order else _in_rounds(bars):
        minutes += bar.minutes
        if minutes > MOST_MINUTES or len(played) == MOST_BARS:
            raise ValueError(
                f"with its repeats the tune would have more than {MOST_BARS:,} bars or last longer "
                f"than {MOST_MINUTES} minutes"
            )
        played.append(bar)
    return played


def _in_parts(bars: list[Bar], order: str) -> Iterator[Bar]:
    parts: dict[str, list[Bar]] = {}
    for bar in bars:
        parts.setdefault(bar.part, []).append(bar)
    yield from _in_rounds(parts.get("", []))
    turns, wanted = Counter[str](), Counter(order)
    for name in order:
        part = parts.get(name, [])
        turns[name] += 1
        endings = {number for bar in part for number in bar.endings}
        if endings and max(endings) == wanted[name]:  # one for each time that it is played
            yield from (bar for bar in part if not bar.endings or turns[name] in bar.endings)
        else:
            yield from _in_rounds(part)


def _in_rounds(bars: list[Bar]) -> Iterator[Bar]:
    start, turn, at = 0, 1, 0
    while at < len(bars):
        bar = bars[at]
        if at != start and _begins_section(bars, at):
            start, turn = at, 1
        if bar.endings and turn not in bar.endings:
            at += 1
            continue
        yield bar
        at += 1
        if bar.right.ends and turn < _rounds(bars, start, at):
            at, turn = start, turn + 1


def _begins_section(bars: list[Bar], at: int) -> bool:
    """Whether a later repeat would go back to this bar, and no further."""
    bar, before = bars[at], bars[at - 1]
    if bar.opens:
        return False
    if before.endings and not bar.endings:
        return True
    return not bar.endings and not (bar.left.is_plain and before.right.is_plain)


def _rounds(bars: list[Bar], start: int, end: int) -> int:
    """Number of times a section is played: once per ending, or once more than a sign has dots."""
    numbers = {number for bar in bars[start:end] for number in bar.endings}
    for bar in bars[end:]:
        if not bar.endings:
            break
        numbers |= bar.endings
    return max(numbers, default=1 + max(bars[start].left.starts, bars[end - 1].right.ends))
