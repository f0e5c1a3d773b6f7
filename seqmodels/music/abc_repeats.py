"""Unfolding of repeats and endings: the bars of a tune in the order in which they are played."""

from __future__ import annotations

from fractions import Fraction

from seqmodels.music.abc_keys import DEFAULT_TEMPO
from seqmodels.music.abc_notation import Bar

MOST_MINUTES = 60
"""Longest tune as played; an hour of sound takes 160 MB."""
MOST_BARS = 10_000
"""Most bars of a tune as played, however short they are."""


def unfold(bars: list[Bar]) -> list[Bar]:
    """Returns the bars in the order in which they are played.

    A repeat goes back to the last repeat sign, double bar line or end of a repeat before it,
    otherwise to the beginning. An ending is played in the rounds with its numbers.

    Raises:
      ValueError: the result exceeds MOST_BARS or MOST_MINUTES.
    """
    played: list[Bar] = []
    start, turn, at = 0, 1, 0
    minutes, tempo = Fraction(0), DEFAULT_TEMPO
    while at < len(bars):
        bar = bars[at]
        if at != start and _begins_section(bars, at):
            start, turn = at, 1
        if bar.endings and turn not in bar.endings:
            at += 1
            continue
        tempo = bar.tempo or tempo
        minutes += bar.length / tempo
        if minutes > MOST_MINUTES or len(played) == MOST_BARS:
            raise ValueError(
                f"with its repeats the tune would have more than {MOST_BARS:,} bars or last longer "
                f"than {MOST_MINUTES} minutes"
            )
        played.append(bar)
        at += 1
        if bar.right.startswith(":") and turn < _rounds(bars, start, at):
            at, turn = start, turn + 1
    return played


def _begins_section(bars: list[Bar], at: int) -> bool:
    """Whether a later repeat would go back to this bar, and no further."""
    bar, before = bars[at], bars[at - 1]
    if bar.opens:
        return False
    if before.endings and not bar.endings:
        return True
    return not bar.endings and (bar.left != "|" or before.right != "|")


def _rounds(bars: list[Bar], start: int, end: int) -> int:
    """Number of times a section is played: once per ending, or twice without endings."""
    numbers = {number for bar in bars[start:end] for number in bar.endings}
    for bar in bars[end:]:
        if not bar.endings:
            break
        numbers |= bar.endings
    return max(numbers, default=2)
