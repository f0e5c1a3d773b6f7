"""From a tune as it is written to what sounds when: repeats unfolded, ties joined, in tempo."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

from seqmodels.music.abc_keys import DEFAULT_TEMPO
from seqmodels.music.abc_notation import Tune
from seqmodels.music.abc_repeats import unfold

_SECONDS = 60


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


def perform(tune: Tune) -> Performance:
    """Plays a tune; one without notes is silent and takes no time.

    Raises:
      ValueError: it would last too long; such a tune does not parse.
    """
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
