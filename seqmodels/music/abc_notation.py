"""ABC notation (abcnotation.com, standard 2.1): tunes of one voice, as folk music has them.

Read are the header (X T M L K Q), notes with accidentals, octaves and lengths, key signatures in
all modes, accidentals that last a bar, broken rhythm, tuplets, ties, chords, rests, repeats,
endings, changes of key, metre, length and tempo. Grace notes take no time. Decorations, slurs,
words and chord names are passed over. Several voices are not read.

All times are exact fractions of a whole note.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from fractions import Fraction

TUNE = re.compile(r"^(?=X:)", re.MULTILINE)
"""Where a tune begins."""
_LONGEST_NAME = 60  # without line feeds a whole file is the number of its first tune
_FIELD = re.compile(r"([A-Za-z]):(.*)")


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is wrong with a tune.

    Attributes:
      kind: header, syntax, repeat (signs of repeats, or too many), bar (length) or empty.
      line: of the file, from 1.
      tune: its number and title.
      text: what.
    """

    kind: str
    line: int
    tune: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.tune}: {self.text}"


@dataclasses.dataclass
class Note:
    """What sounds from one moment on.

    Attributes:
      start: from the beginning of the bar.
      length: how long.
      pitches: MIDI numbers, 60 is middle C; none of a rest.
      tied: into the next note of that pitch.
    """

    start: Fraction
    length: Fraction
    pitches: tuple[int, ...]
    tied: bool = False


@dataclasses.dataclass
class Bar:
    """What stands between two bar lines.

    Attributes:
      line: of the file.
      metre: the length that it is to have; None = free.
      tempo: whole notes a minute; None = not told.
      notes: in order.
      length: of all of them.
      left, right: the signs around it, '' at the ends of a tune.
      endings: of a repeat, that it is played in; none = all.
      opens: an ending begins here.
    """

    line: int
    metre: Fraction | None
    tempo: Fraction | None
    notes: list[Note] = dataclasses.field(default_factory=list)
    length: Fraction = Fraction(0)
    left: str = ""
    right: str = ""
    endings: frozenset[int] = frozenset()
    opens: bool = False


@dataclasses.dataclass
class Tune:
    """One tune.

    Attributes:
      text: as it stands in the file.
      line: of the file, where it begins.
      number, title: X: and the first T:.
      key: letter -> semitones, of the header.
      bars: in the order of the text.
      problems: all that is wrong; none = it parses and its bars are full.
    """

    text: str
    line: int
    number: str = ""
    title: str = ""
    key: dict[str, int] = dataclasses.field(default_factory=dict)
    bars: list[Bar] = dataclasses.field(default_factory=list)
    problems: list[Problem] = dataclasses.field(default_factory=list)

    @property
    def name(self) -> str:
        """The number and the title, for a person."""
        title = f" {self.title[:_LONGEST_NAME]!r}" if self.title else ""
        return f"tune {self.number[:_LONGEST_NAME] or '?'}{title}"

    @property
    def parses(self) -> bool:
        """Whether nothing is wrong but, at most, the lengths of bars."""
        return all(problem.kind == "bar" for problem in self.problems)

    @property
    def is_full(self) -> bool:
        """Whether it parses and every bar has the length that its metre asks for."""
        return not self.problems

    def complain(self, kind: str, line: int, text: str) -> None:
        """Adds a problem."""
        self.problems.append(Problem(kind, line, self.name, text))


def cut_tunes(text: str) -> list[tuple[int, str]]:
    """Cuts a file before each line that begins with 'X:'.

    Returns:
      Line, from 1, and text of each tune; what stands before the first one is left out. A tune
      ends with the blank lines behind it.
    """
    parts = TUNE.split(text)
    lines = 1 + parts[0].count("\n")
    found = []
    for part in parts[1:]:
        found.append((lines, part))
        lines += part.count("\n")
    return found


def body_of(text: str) -> str:
    """Returns the notes of a tune: no fields, no comments, no white space, no '!' at line ends.

    So tunes that differ in title, number or layout alone have one body.
    """
    kept = []
    for line in text.split("\n"):
        line = line.partition("%")[0]
        if not _FIELD.match(line):
            kept.append("".join(line.split()).removesuffix("!"))
    return "".join(kept)


def split_fields(text: str, first_line: int) -> Iterator[tuple[int, str, str]]:
    """Yields (line, field, content) of each line of a tune; the field of music is ''."""
    for number, line in enumerate(text.split("\n"), first_line):
        content = line.partition("%")[0].rstrip()
        match = _FIELD.match(content)
        if match is not None:
            yield number, match.group(1), match.group(2).strip()
        elif content:
            yield number, "", content


def check_bars(tune: Tune) -> Iterator[tuple[int, str]]:
    """Yields (line, what is wrong) of the bars that their metre does not fill.

    A bar may be short where music begins or ends: a pick-up, and the bar that it completes. So one
    of its neighbours must be an end of the tune, a double bar line, a repeat sign or an ending.
    """
    for number, bar in enumerate(tune.bars, 1):
        if bar.metre is None or bar.length == bar.metre:
            continue
        followed = number < len(tune.bars) and tune.bars[number].opens
        at_edge = bar.left != "|" or bar.right != "|" or bar.opens or followed
        if bar.length > bar.metre or not at_edge:
            yield bar.line, f"bar {number} has {bar.length} of {bar.metre}"


def check_repeats(tune: Tune) -> Iterator[tuple[int, str]]:
    """Yields (line, what is wrong) of endings: a later one stands behind a repeat sign."""
    for before, bar in zip([None, *tune.bars], tune.bars, strict=False):
        if bar.opens and 1 not in bar.endings and (before is None or before.right[:1] != ":"):
            numbers = ",".join(map(str, sorted(bar.endings)))
            yield bar.line, f"ending {numbers} without a repeat sign before it"
