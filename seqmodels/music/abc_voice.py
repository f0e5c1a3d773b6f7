"""A voice of a tune while it is read: where it is, and what holds there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction

from seqmodels.music import abc_keys
from seqmodels.music.abc_notation import TUNE_END, Bar, BarLine, Note
from seqmodels.music.abc_repeats import MOST_MINUTES
from seqmodels.music.abc_tokens import parse_length, parse_note

_LONGEST = Fraction(64)  # in whole notes; anything longer must be a typing error
_MOST_BARS = 100  # length of one rest


@dataclasses.dataclass
class Settings:
    """Fields that hold from here on.

    Attributes:
      metre, compound: length of a bar in whole notes, None if free, and whether M: is compound.
      unit: length of a note without a number (L:), in whole notes; None: it follows from the metre.
      tempo: whole notes per minute (Q:).
      key: letter -> semitones (K:).
      shift: semitones by which a clef transposes (K: or V:).
      reach: how far an accidental reaches in its bar: pitch (every octave; the default), octave or
        not (I:propagate-accidentals, section 11.3).
    """

    metre: Fraction | None = None
    compound: bool = False
    unit: Fraction | None = None
    tempo: Fraction = abc_keys.DEFAULT_TEMPO
    key: dict[str, int] = dataclasses.field(default_factory=dict)
    shift: int = 0
    reach: str = "pitch"

    @property
    def length_of_one(self) -> Fraction:
        """Length of a note without a number."""
        return self.unit or abc_keys.default_unit(self.metre)


class Voice:
    """The bars of a voice so far, and the state at the current position.

    Attributes:
      bars: bars that are complete.
      settings: what holds here.
      line: line of the file that is being read.
      part: name of the part that is being read.
    """

    def __init__(self, settings: Settings, complain: Callable[[str], None]) -> None:
        self.bars: list[Bar] = []
        self.settings, self.line, self.part = settings, 0, ""
        self._complain = complain
        self._altered: dict[str, int] = {}  # letter (and octave) -> accidental of this bar
        self._tied: dict[str, int] = {}  # letter and octave -> accidental that a tie carries on
        self._last: dict[str, tuple[int, int]] = {}  # of the last note: pitch and alteration
        self._sign, self._endings, self._opens = TUNE_END, frozenset[int](), False
        self._tuplet, self._tuplet_left = Fraction(1), 0
        self._factor = Fraction(1)  # length factor of the note after '>' or '<'
        self._at = self._longest = Fraction(0)  # in the bar; the longest of the overlays before
        self._minutes = Fraction(0)
        self._bar = self._new_bar()

    def _new_bar(self) -> Bar:
        now = self.settings
        return Bar(self.line, now.metre, [(Fraction(0), now.tempo)], part=self.part)

    def set_part(self, name: str) -> None:
        """Begins a part."""
        if self._bar.notes:
            self.close(TUNE_END)
        self.part = name

    def set_tempo(self, tempo: Fraction) -> None:
        """Changes the tempo from the current position on."""
        self.settings.tempo = tempo
        if not self._longest:  # an overlay is played in the tempo of the first notes of its bar
            tempos = self._bar.tempos
            if tempos[-1][0] == self._at:
                tempos.pop()
            tempos.append((self._at, tempo))

    def add(self, length: Fraction, names: Sequence[str] = (), tied: Sequence[str] = ()) -> None:
        """Adds a note, a chord or, without names, a rest.

        Args:
          length: in lengths of a note without a number.
          names: notes as written.
          tied: those of `names` that are tied to the next note.

        Raises:
          ValueError: it is too long, or outside the range of MIDI.
        """
        now = self.settings
        length = length * self._factor * now.length_of_one
        if self._tuplet_left:
            length, self._tuplet_left = length * self._tuplet, self._tuplet_left - 1
        if not 0 < length <= _LONGEST:
            raise ValueError(f"too long: {length} whole notes")
        minutes = self._minutes + length / now.tempo
        if minutes > MOST_MINUTES:
            raise ValueError(f"the tune would last longer than {MOST_MINUTES} minutes")
        self._minutes, self._factor = minutes, Fraction(1)
        self._last = {name: self._pitch(name) for name in names}
        bar = self._bar
        if not bar.notes:
            self._bar = bar = self._new_bar()
        pitches = tuple(sorted({pitch for pitch, _ in self._last.values()}))
        bar.notes.append(Note(self._at, length, pitches))
        self._tied = {}
        self.tie(tied)
        self._move(length)

    def _move(self, by: Fraction) -> None:
        self._at += by
        self._bar.length = max(self._longest, self._at)

    def tie(self, names: Sequence[str] | None = None) -> None:
        """Ties notes of the last chord, or all of it, to the next; the accidentals continue."""
        chosen = self._last if names is None else names
        if self._bar.notes and chosen:
            pitches = {self._last[name][0] for name in chosen}
            self._bar.notes[-1].tied |= pitches
            self._tied |= {parse_note(name)[0]: self._last[name][1] for name in chosen}

    def _pitch(self, name: str) -> tuple[int, int]:
        """Pitch and alteration of a note; its accidental is kept for the bar."""
        place, natural, altered = parse_note(name)
        letter, reach = place[0].upper(), self.settings.reach
        scope = letter if reach == "pitch" else place
        if altered is None:
            by_bar = self._altered.get(scope, self.settings.key.get(letter, 0))
            altered = self._tied.get(place, by_bar)
        elif reach != "not":
            self._altered[scope] = altered
        pitch = natural + altered + self.settings.shift
        if not 0 <= pitch <= 127:
            raise ValueError("outside the range of MIDI")
        return pitch, altered

    def wait(self, text: str) -> None:
        """Reads 'Z3', three bars of rest."""
        bars, whole = parse_length(text), self.settings.metre or Fraction(1)
        if bars.denominator != 1:
            raise ValueError("not a number of bars")
        if bars > _MOST_BARS:
            raise ValueError(f"a rest of more than {_MOST_BARS} bars")
        for number in range(int(bars)):
            if number:
                self.close(BarLine())
            self.add(whole / self.settings.length_of_one)

    def open_tuplet(self, factor: Fraction, notes: int) -> None:
        """Multiplies the lengths of the next notes."""
        self._tuplet, self._tuplet_left = factor, notes

    def break_rhythm(self, signs: str) -> None:
        """Reads the '>' of 'a>b': a takes half of b's length, '<' the reverse, '>>' 3/4 of it."""
        if not self._bar.notes:
            raise ValueError("no note before it")
        if len(signs) > 8:
            raise ValueError("not a length of a note")
        rest = Fraction(1, 2 ** len(signs))
        before, behind = (2 - rest, rest) if signs[0] == ">" else (rest, 2 - rest)
        last = self._bar.notes[-1]
        self._move(last.length * (before - 1))
        last.length *= before
        self._factor = behind

    def overlay(self) -> None:
        """Reads '&': what follows sounds from the beginning of the bar (section 7.4)."""
        if not self._bar.notes:
            raise ValueError("no notes in this bar before it")
        self._check_groups()
        self._at, self._longest, self._tied = Fraction(0), self._bar.length, {}

    def open_ending(self, numbers: frozenset[int]) -> None:
        """Begins an ending of a repeat."""
        if self._bar.notes:
            self.close(BarLine())
        self._endings, self._opens = numbers, True

    def close(self, sign: BarLine) -> None:
        """Ends a bar at a bar line; bar lines without anything between them count as one."""
        bar = self._bar
        if not bar.notes:
            self._sign |= sign
            if not self._sign.is_plain and not self._opens:
                self._endings = frozenset()
            if self.bars:
                self.bars[-1].right = self._sign
            return
        bar.left, bar.right = self._sign, sign
        bar.endings, bar.opens = self._endings, self._opens
        self.bars.append(bar)
        self._check_groups()
        self._opens, self._altered, self._sign = False, {}, sign
        if not sign.is_plain:
            self._endings = frozenset()
        self._at = self._longest = Fraction(0)
        self._bar = self._new_bar()

    def _check_groups(self) -> None:
        if self._tuplet_left or self._factor != 1:
            self._complain("a tuplet or a '>' crosses the bar line")
            self._tuplet_left, self._factor = 0, Fraction(1)
