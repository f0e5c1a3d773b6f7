"""Reader of tunes in ABC notation; see `abc_notation` for the supported part."""

from __future__ import annotations

import functools
import re
from fractions import Fraction

from seqmodels.music import abc_keys
from seqmodels.music.abc_notation import (
    Bar,
    Note,
    Tune,
    check_bars,
    check_repeats,
    cut_tunes,
    split_fields,
)
from seqmodels.music.abc_repeats import MOST_MINUTES, unfold

_LENGTH = r"\d*(?:/+\d*)?"  # unambiguous, because chords repeat it
_PITCH = r"(?:\^{1,2}|_{1,2}|=)?[A-Ga-g][,']*"
_TOKEN = re.compile(
    rf"""
    (?P<skip>[ \t\r`\\$]+|y\d*|"[^"]*"|![^!|\s]+!|\+[^+|\s]+\+|\{{[^}}]*\}}|[.~HLMOPSTuv])
    |(?P<field>\[[A-Za-z]:[^\]]*\])
    |(?P<bar>:+\|+\]?:*|::+|\[?\|+\]?:*)
    |\[?(?P<ending>(?<=[\[|:])\d[\d,-]*)
    |\((?P<tuplet>[2-9](?::\d*){{0,2}})
    |(?P<slur>[()])
    |(?P<broken>>+|<+)
    |(?P<note>(?P<pitch>{_PITCH})(?P<length>{_LENGTH})(?P<tie>-?))
    |(?P<rest>(?P<wait>[zxZX])(?P<waited>{_LENGTH}))
    |\[(?P<chord>(?:{_PITCH}{_LENGTH}-?)+)\](?P<spread>{_LENGTH})(?P<held>-?)
    |(?P<end>!|-)
    """,
    re.VERBOSE,
)
_NOTE = re.compile(r"(\^{1,2}|_{1,2}|=)?([A-Ga-g])([,']*)")
_MEMBER = re.compile(rf"({_PITCH})({_LENGTH})(-?)")
_OPENING = re.compile(r"\[?(\d[\d,-]*)")
_NEEDED = {"X": "number", "T": "title", "M": "metre", "K": "key"}
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_MIDDLE_C = 60
_LONGEST = Fraction(64)  # in whole notes; anything longer must be a typing error
_MOST_BARS = 100  # length of one rest
_TUPLETS = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}


def read_tunes(text: str) -> list[Tune]:
    """Reads every tune of a file; problems are listed in `Tune.problems`."""
    return [read_tune(part, line) for line, part in cut_tunes(text)]


def read_tune(text: str, line: int = 1) -> Tune:
    """Reads one tune.

    Args:
      text: text of the tune; unless it begins with 'X:' its number is missing.
      line: line of the file at which it begins.
    """
    return _Reader(Tune(text, line)).read()


class _Reader:
    """Reader of one tune; its attributes hold the key, metre, etc. at the current position."""

    def __init__(self, tune: Tune) -> None:
        self._tune, self._line = tune, tune.line
        self._metre: Fraction | None = None
        self._compound = False
        self._unit: Fraction | None = None
        self._tempo: Fraction | None = None
        self._key: dict[str, int] = {}
        self._in_bar: dict[str, int] = {}  # letter and octave -> accidental of this bar
        self._tied: dict[str, int] = {}
        self._bar = Bar(tune.line, None, None)
        self._sign, self._endings, self._opens = "", frozenset[int](), False
        self._tuplet, self._tuplet_left = Fraction(1), 0
        self._factor = Fraction(1)  # length factor of the note after '>' or '<'
        self._minutes = Fraction(0)

    def read(self) -> Tune:
        """Reads all lines, then checks the tune."""
        fields: dict[str, str] = {}
        for line, field, content in split_fields(self._tune.text, self._tune.line):
            self._line = line
            if "K" not in fields and field:
                fields.setdefault(field, content)
            if field == "":
                if "K" in fields:
                    self._read_music(content)
                elif set(fields) & {"X", "T"}:
                    self._complain("header", f"music before K: ({content[:20]!r})")
                    fields["K"] = ""
            else:
                self._read_field(field, content)
        self._close("")
        missing = [name for name in _NEEDED if name not in fields]
        if missing:
            what = " and ".join(f"{name}: ({_NEEDED[name]})" for name in missing)
            self._tune.complain("header", self._tune.line, f"has no {what}")
        sounds = any(note.pitches for bar in self._tune.bars for note in bar.notes)
        if not sounds and not self._tune.problems:
            self._tune.complain("empty", self._tune.line, "has no notes")
        for kind, check in (("repeat", check_repeats), ("bar", check_bars)):
            for line, what in check(self._tune):
                self._tune.complain(kind, line, what)
        try:
            unfold(self._tune.bars)
        except ValueError as error:
            self._tune.complain("repeat", self._tune.line, str(error))
        self._tune.problems.sort(key=lambda problem: problem.line)
        return self._tune

    def _complain(self, kind: str, text: str) -> None:
        self._tune.complain(kind, self._line, text)

    def _read_field(self, field: str, content: str) -> None:
        tune = self._tune
        try:
            match field:
                case "X":
                    tune.number = content
                    if not content.isdecimal():
                        raise ValueError(f"not a number: {content[:20]!r}")
                case "T":
                    tune.title = tune.title or content
                case "M":
                    self._metre, self._compound = abc_keys.parse_metre(content)
                    if not self._bar.notes:
                        self._bar.metre = self._metre
                case "L":
                    self._unit = abc_keys.parse_unit(content)
                case "Q":
                    self._tempo = abc_keys.parse_tempo(content, self._length_of_one()) or (
                        self._tempo
                    )
                    self._bar.tempo = self._tempo
                case "K":
                    self._key = abc_keys.parse_key(content)
                    tune.key = tune.key or self._key
                case "V":
                    if tune.bars or self._bar.notes:
                        raise ValueError("several voices (V:) are not supported")
        except ValueError as error:
            self._complain("header", f"{field}: {error}")

    def _length_of_one(self) -> Fraction:
        return self._unit or abc_keys.default_unit(self._metre)

    def _read_music(self, text: str) -> None:
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                end = at + 1
                while end < len(text) and _TOKEN.match(text, end) is None:
                    end += 1
                self._complain("syntax", f"{text[at:end]!r} is not ABC")
                at = end
                continue
            at = match.end()
            try:
                self._read_token(match)
            except ValueError as error:
                self._complain("syntax", f"{match.group()!r}: {error}")

    def _read_token(self, match: re.Match[str]) -> None:
        groups = match.groupdict()
        # The first group is the outermost.
        match next(name for name, text in groups.items() if text is not None):
            case "field":
                name, _, content = groups["field"][1:-1].partition(":")
                self._read_field(name, content.strip())
            case "bar":
                self._close(groups["bar"])
            case "ending":
                self._open_ending(groups["ending"])
            case "tuplet":
                self._open_tuplet(groups["tuplet"])
            case "broken":
                self._break(groups["broken"])
            case "note":
                length = _length(groups["length"])
                self._add(length, (groups["pitch"],), tied=bool(groups["tie"]))
            case "rest":
                if groups["wait"] in "ZX":
                    self._wait(groups["waited"])
                else:
                    self._add(_length(groups["waited"]), (), tied=False)
            case "chord":
                members = _MEMBER.findall(groups["chord"])
                length = _length(members[0][1]) * _length(groups["spread"])
                tied = bool(groups["held"]) or all(member[2] for member in members)
                self._add(length, tuple(member[0] for member in members), tied=tied)
            case "end":
                if groups["end"] == "-" and self._bar.notes:
                    self._bar.notes[-1].tied = True

    def _add(self, length: Fraction, names: tuple[str, ...], *, tied: bool) -> None:
        length = length * self._factor * self._length_of_one()
        if self._tuplet_left:
            length, self._tuplet_left = length * self._tuplet, self._tuplet_left - 1
        if not 0 < length <= _LONGEST:
            raise ValueError(f"too long: {length} whole notes")
        minutes = self._minutes + length / (self._tempo or abc_keys.DEFAULT_TEMPO)
        if minutes > MOST_MINUTES:
            raise ValueError(f"the tune would last longer than {MOST_MINUTES} minutes")
        self._minutes = minutes
        self._factor = Fraction(1)
        pitches = tuple(sorted({self._pitch(*_parts(name)) for name in names}))
        bar = self._bar
        if not bar.notes:
            bar.line, bar.metre, bar.tempo = self._line, self._metre, self._tempo
        bar.notes.append(Note(bar.length, length, pitches, tied))
        bar.length += length
        # A tie carries the accidental over the bar line.
        places = [_parts(name)[0] for name in names] if tied else []
        self._tied = {place: self._altered(place) for place in places}

    def _pitch(self, place: str, natural: int, altered: int | None) -> int:
        if altered is not None:
            self._in_bar[place] = altered
        pitch = natural + self._altered(place)
        if not 0 <= pitch <= 127:
            raise ValueError("outside the range of MIDI")
        return pitch

    def _altered(self, place: str) -> int:
        """Semitones by which an accidental, a tie or the key alters a note."""
        by_key = self._key.get(place[0].upper(), 0)
        return self._in_bar.get(place, self._tied.get(place, by_key))

    def _wait(self, text: str) -> None:
        """Reads 'Z3', three bars of rest."""
        bars, whole = _length(text), self._metre or Fraction(1)
        if bars.denominator != 1:
            raise ValueError("not a number of bars")
        if bars > _MOST_BARS:
            raise ValueError(f"a rest of more than {_MOST_BARS} bars")
        for number in range(int(bars)):
            if number:
                self._close("|")
            self._add(whole / self._length_of_one(), (), tied=False)

    def _open_tuplet(self, text: str) -> None:
        parts = [int(part) if part else 0 for part in text.split(":")] + [0, 0]
        notes, time, count = parts[:3]
        time = time or _TUPLETS.get(notes) or (3 if self._compound else 2)
        self._tuplet, self._tuplet_left = Fraction(time, notes), count or notes

    def _break(self, signs: str) -> None:
        """Reads the '>' of 'a>b': a takes half of b's length, '<' the reverse, '>>' 3/4 of it."""
        if not self._bar.notes:
            raise ValueError("no note before it")
        rest = Fraction(1, 2 ** len(signs))
        before, behind = (2 - rest, rest) if signs[0] == ">" else (rest, 2 - rest)
        last = self._bar.notes[-1]
        self._bar.length += last.length * (before - 1)
        last.length *= before
        self._factor = behind

    def _open_ending(self, text: str) -> None:
        if self._bar.notes:
            self._close("|")
        numbers: set[int] = set()
        for part in text.strip(",-").split(","):
            first, _, last = part.partition("-")
            if len(part) > 5:
                raise ValueError("not numbers of endings")
            if first:
                numbers |= set(range(int(first), int(last or first) + 1))
        self._endings, self._opens = frozenset(numbers), True

    def _close(self, sign: str) -> None:
        """Ends a bar at a bar line; bar lines without anything between them count as one."""
        bar = self._bar
        if not bar.notes:
            self._sign = (self._sign + sign).replace("||", "|") if self._sign != sign else sign
            if self._sign != "|" and not self._opens:
                self._endings = frozenset()
            if self._tune.bars:
                self._tune.bars[-1].right = self._sign
            return
        bar.left, bar.right = self._sign, sign
        bar.endings, bar.opens = self._endings, self._opens
        self._tune.bars.append(bar)
        self._opens, self._in_bar, self._sign = False, {}, sign
        if self._tuplet_left or self._factor != 1:
            self._complain("syntax", "a tuplet or a '>' crosses the bar line")
            self._tuplet_left, self._factor = 0, Fraction(1)
        if sign != "|":
            self._endings = frozenset()
        self._bar = Bar(self._line, self._metre, self._tempo)


@functools.cache
def _parts(name: str) -> tuple[str, int, int | None]:
    """Letter and octave of a note as written, its unaltered pitch, and its accidental."""
    match = _NOTE.fullmatch(name)
    assert match is not None
    signs, letter, marks = match.groups()
    octave = letter.islower() + marks.count("'") - marks.count(",")
    natural = _MIDDLE_C + _SEMITONES[letter.upper()] + 12 * octave
    return letter + marks, natural, abc_keys.alteration(signs) if signs else None


@functools.cache
def _length(text: str) -> Fraction:
    """The factor that '3/2', '/', '//' or '' denotes.

    Raises:
      ValueError: it is 0 or divides by 0.
    """
    match = re.fullmatch(r"(\d*)(/*)(\d*)", text)
    assert match is not None
    number, slashes, divisor = match.groups()
    if len(number) > 4 or len(divisor) > 4 or len(slashes) > 8:
        raise ValueError("not a length of a note")
    value = int(number) if number else 1
    parts = int(divisor) if divisor else 2 ** len(slashes)
    if not value or not parts:
        raise ValueError("not a length of a note")
    return Fraction(value, parts)
