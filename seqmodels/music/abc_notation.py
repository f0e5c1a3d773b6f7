"""ABC notation (abcnotation.com, standard 2.1) of tunes with one voice, as in folk music.

The reader understands the header (X T M L K Q), notes with accidentals, octaves and lengths, key
signatures in all modes, accidentals that last for a bar, broken rhythm, tuplets, ties, chords,
rests, repeats, endings, and changes of key, metre, length and tempo. Grace notes take no time.
Decorations, slurs, words and chord names are ignored. Several voices are not supported.

All times are exact fractions of a whole note.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from fractions import Fraction

TUNE = re.compile(r"^(?=X:)", re.MULTILINE)
"""Pattern of the first line of a tune."""
_LONGEST_NAME = 60  # in a file without line feeds everything would be the first tune's number
_FIELD = re.compile(r"([A-Za-z]):(.*)")


@dataclasses.dataclass(frozen=True)
class Problem:
    """A problem in a tune.

    Attributes:
      kind: header, syntax, repeat (wrong signs, or too many repeats), bar (length) or empty.
      line: line of the file, from 1.
      tune: number and title of the tune.
      text: description.
    """

    kind: str
    line: int
    tune: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.tune}: {self.text}"


@dataclasses.dataclass
class Note:
    """A note, chord or rest.

    Attributes:
      start: time from the beginning of the bar.
      length: duration.
      pitches: MIDI numbers (60 is middle C); empty for a rest.
      tied: whether it is tied to the next note of the same pitch.
    """

    start: Fraction
    length: Fraction
    pitches: tuple[int, ...]
    tied: bool = False


@dataclasses.dataclass
class Bar:
    """The music between two bar lines.

    Attributes:
      line: line of the file.
      metre: required length; None if free.
      tempo: whole notes per minute; None if not given.
      notes: notes in order.
      length: total length of the notes.
      left, right: bar lines on either side; '' at the ends of a tune.
      endings: endings of a repeat in which it is played; empty for all.
      opens: whether an ending begins here.
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
    """A tune.

    Attributes:
      text: its text in the file.
      line: line of the file at which it begins.
      number, title: contents of X: and of the first T:.
      key: letter -> semitones, from the header.
      bars: bars in the order of the text.
      problems: all problems; empty if the tune parses and its bars are full.
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
        """Number and title, for messages."""
        title = f" {self.title[:_LONGEST_NAME]!r}" if self.title else ""
        return f"tune {self.number[:_LONGEST_NAME] or '?'}{title}"

    @property
    def parses(self) -> bool:
        """Whether the only problems, if any, are lengths of bars."""
        return all(problem.kind == "bar" for problem in self.problems)

    @property
    def is_full(self) -> bool:
        """Whether it parses and every bar has the length that its metre requires."""
        return not self.problems

    def complain(self, kind: str, line: int, text: str) -> None:
        """Adds a problem."""
        self.problems.append(Problem(kind, line, self.name, text))


def cut_tunes(text: str) -> list[tuple[int, str]]:
    """Cuts a file before each line that begins with 'X:'.

    Returns:
      Line (from 1) and text of each tune; text before the first tune is left out. A tune includes
      the blank lines that follow it.
    """
    parts = TUNE.split(text)
    lines = 1 + parts[0].count("\n")
    found = []
    for part in parts[1:]:
        found.append((lines, part))
        lines += part.count("\n")
    return found


def body_of(text: str) -> str:
    """Returns the notes of a tune without fields, comments, white space and '!' at line ends.

    Tunes that differ only in title, number or layout have the same body.
    """
    kept = []
    for line in text.split("\n"):
        line = line.partition("%")[0]
        if not _FIELD.match(line):
            kept.append("".join(line.split()).removesuffix("!"))
    return "".join(kept)


def split_fields(text: str, first_line: int) -> Iterator[tuple[int, str, str]]:
    """Yields (line, field, content) for each line of a tune; music has the field ''."""
    for number, line in enumerate(text.split("\n"), first_line):
        content = line.partition("%")[0].rstrip()
        match = _FIELD.match(content)
        if match is not None:
            yield number, match.group(1), match.group(2).strip()
        elif content:
            yield number, "", content


def check_bars(tune: Tune) -> Iterator[tuple[int, str]]:
    """Yields (line, description) for each bar whose length differs from its metre.

    A bar may be short where music begins or ends: a pick-up, and the bar that completes it. So next
    to it must be an end of the tune, a double bar line, a repeat sign or an ending.
    """
    for number, bar in enumerate(tune.bars, 1):
        if bar.metre is None or bar.length == bar.metre:
            continue
        followed = number < len(tune.bars) and tune.bars[number].opens
        at_edge = bar.left != "|" or bar.right != "|" or bar.opens or followed
        if bar.length > bar.metre or not at_edge:
            yield bar.line, f"bar {number} has {bar.length} of {bar.metre}"


def check_repeats(tune: Tune) -> Iterator[tuple[int, str]]:
    """Yields (line, description) for each later ending that does not follow a repeat sign."""
    for before, bar in zip([None, *tune.bars], tune.bars, strict=False):
        if bar.opens and 1 not in bar.endings and (before is None or before.right[:1] != ":"):
            numbers = ",".join(map(str, sorted(bar.endings)))
            yield bar.line, f"ending {numbers} without a repeat sign before it"
