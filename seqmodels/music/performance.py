"""Performance of a written tune: repeats unfolded, ties joined, times in seconds."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

from seqmodels.music.abc_keys import DEFAULT_TEMPO
from seqmodels.music.abc_notation import Tune
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
      sounds: sounds in order of their start.
      length: total length in whole notes, rests included.
      seconds: total length in seconds.
      tempos: (whole notes from the beginning, whole notes per minute) at each change.
    """

    sounds: list[Sound]
    length: Fraction
    seconds: float
    tempos: list[tuple[Fraction, Fraction]]


def perform(tune: Tune) -> Performance:
    """Plays a tune; a tune without notes has length 0.

    Raises:
      ValueError: the tune would last too long; such a tune does not parse.
    """
    at, seconds = Fraction(0), 0.0
    tempo, tempos = DEFAULT_TEMPO, [(Fraction(0), DEFAULT_TEMPO)]
    sounds: list[Sound] = []
    open_: dict[int, int] = {}  # pitch -> the sound that is tied to the next
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
