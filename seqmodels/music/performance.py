"""Performance of a written tune: repeats unfolded, ties joined, times in seconds."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Callable
from fractions import Fraction

from seqmodels.music.abc_keys import DEFAULT_TEMPO
from seqmodels.music.abc_notation import Bar, Tune
from seqmodels.music.abc_repeats import unfold

_SECONDS = 60


@dataclasses.dataclass(frozen=True)
class Sound:
    """One sounding pitch.

    Attributes:
      start, end: times in whole notes from the beginning of the tune.
      onset, release: the same times in seconds.
      pitch: MIDI number.
    """

    start: Fraction
    end: Fraction
    onset: float
    release: float
    pitch: int


@dataclasses.dataclass(frozen=True)
class Performance:
    """A tune as played.

    Attributes:
      sounds: sounds of all voices in order of their start.
      length: total length in whole notes, rests included.
      seconds: total length in seconds.
      tempos: (whole notes from the beginning, whole notes per minute) at each change.
    """

    sounds: list[Sound]
    length: Fraction
    seconds: float
    tempos: list[tuple[Fraction, Fraction]]


def perform(tune: Tune) -> Performance:
    """Plays all voices of a tune, in the tempos of the first; without notes it has length 0.

    Raises:
      ValueError: the tune would last too long; such a tune does not parse.
    """
    voices = [unfold(bars, tune.order) for bars in tune.voices.values()]
    length = max((sum((bar.length for bar in bars), Fraction(0)) for bars in voices), default=0)
    tempos = _tempos(voices[0] if voices else [])
    seconds = _clock(tempos)
    found = [span for bars in voices for span in _spans(bars)]
    sounds = [Sound(start, end, seconds(start), seconds(end), pitch) for start, end, pitch in found]
    sounds.sort(key=lambda sound: sound.start)
    return Performance(sounds, Fraction(length), seconds(Fraction(length)), tempos)


def _tempos(bars: list[Bar]) -> list[tuple[Fraction, Fraction]]:
    at, tempos = Fraction(0), [(Fraction(0), DEFAULT_TEMPO)]
    for bar in bars:
        for start, tempo in bar.tempos:
            if tempo != tempos[-1][1]:
                if tempos[-1][0] == at + start:
                    tempos.pop()
                tempos.append((at + start, tempo))
        at += bar.length
    return tempos


def _clock(tempos: list[tuple[Fraction, Fraction]]) -> Callable[[Fraction], float]:
    """Returns the function from whole notes to seconds."""
    starts, begun = [at for at, _ in tempos], [Fraction(0)]
    for (start, tempo), (end, _) in itertools.pairwise(tempos):
        begun.append(begun[-1] + (end - start) / tempo)

    def seconds(at: Fraction) -> float:
        index = bisect.bisect_right(starts, at) - 1
        start, tempo = tempos[index]
        return float((begun[index] + (at - start) / tempo) * _SECONDS)

    return seconds


def _spans(bars: list[Bar]) -> list[tuple[Fraction, Fraction, int]]:
    """(start, end, pitch) of each sound of a voice; notes that are tied are one sound."""
    at, spans = Fraction(0), list[tuple[Fraction, Fraction, int]]()
    open_: dict[tuple[Fraction, int], int] = {}  # (end, pitch) -> the sound that is tied there
    for bar in bars:
        for note in bar.notes:
            start = at + note.start
            end = start + note.length
            for pitch in note.pitches:
                index = open_.pop((start, pitch), None)
                if index is None:
                    index = len(spans)
                    spans.append((start, end, pitch))
                else:
                    spans[index] = (spans[index][0], end, pitch)
                if pitch in note.tied:
                    open_[end, pitch] = index
        at += bar.length
    return spans
