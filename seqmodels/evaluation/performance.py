"""From a tune as it is written to what sounds when: repeats unfolded, ties joined, in tempo."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

from seqmodels.data.abc_keys import DEFAULT_TEMPO
from seqmodels.data.abc_notation import Bar, Tune

_SECONDS = 60
_MOST_BARS = 10_000


@dataclasses.dataclass(frozen=True)
class Sound:
    """One pitch, from its beginning to its end.

    Attributes:
      start, end: in whole notes from the beginning of the tune.
      onset, release: in seconds.
      pitch: MIDI number.
    """

    start: Fraction
    end: Fraction
    onset: float
    release: float
    pitch: int


@dataclasses.dataclass(frozen=True)
class Performance:
    """A tune as it is played.

    Attributes:
      sounds: in the order of their beginnings.
      length: whole notes in all, rests included.
      seconds: as long as that takes.
      tempos: (whole notes from the beginning, whole notes a minute), wherever it changes.
    """

    sounds: list[Sound]
    length: Fraction
    seconds: float
    tempos: list[tuple[Fraction, Fraction]]


def unfold(bars: list[Bar]) -> list[Bar]:
    """Returns the bars in the order in which they are played.

    A repeat goes back to the repeat sign, the double bar line or the end of a repeat before it,
    else to the beginning. Endings are played in the rounds that they are numbered for.
    """
    played: list[Bar] = []
    start, turn, at = 0, 1, 0
    while at < len(bars) and len(played) < _MOST_BARS:
        bar = bars[at]
        if at != start and _begins_section(bars, at):
            start, turn = at, 1
        if bar.endings and turn not in bar.endings:
            at += 1
            continue
        played.append(bar)
        at += 1
        if bar.right.startswith(":") and turn < _rounds(bars, start, at):
            at, turn = start, turn + 1
    return played


def _begins_section(bars: list[Bar], at: int) -> bool:
    """Whether a repeat that comes would go back to a bar, and no further."""
    bar, before = bars[at], bars[at - 1]
    if bar.opens:
        return False
    if before.endings and not bar.endings:
        return True
    return not bar.endings and (bar.left != "|" or before.right != "|")


def _rounds(bars: list[Bar], start: int, end: int) -> int:
    """How often a section is played: as many times as it has endings, else twice."""
    numbers = {number for bar in bars[start:end] for number in bar.endings}
    for bar in bars[end:]:
        if not bar.endings:
            break
        numbers |= bar.endings
    return max(numbers, default=2)


def perform(tune: Tune) -> Performance:
    """Plays a tune; one without notes is silent and takes no time."""
    at, seconds = Fraction(0), 0.0
    tempo, tempos = DEFAULT_TEMPO, [(Fraction(0), DEFAULT_TEMPO)]
    sounds: list[Sound] = []
    open_: dict[int, int] = {}  # pitch -> the sound that is tied on
    for bar in unfold(tune.bars):
        if bar.tempo is not None and bar.tempo != tempo:
            tempo = bar.tempo
            tempos = [*(t for t in tempos if t[0] != at), (at, tempo)]
        for note in bar.notes:
            duration = float(note.length / tempo) * _SECONDS
            end, release, still = at + note.length, seconds + duration, {}
            for pitch in note.pitches:
                index = open_.get(pitch)
                if index is None:
                    index = len(sounds)
                    sounds.append(Sound(at, end, seconds, release, pitch))
                else:
                    sounds[index] = dataclasses.replace(sounds[index], end=end, release=release)
                if note.tied:
                    still[pitch] = index
            at, seconds, open_ = end, release, still
    return Performance(sounds, at, seconds, tempos)
