"""ABC notation (abcnotation.com, standard 2.1): what a tune consists of, and what makes it full.

The reader understands file headers, tune headers (X T M L K Q P U V), notes with accidentals,
octaves and lengths, key signatures in all modes, clefs that transpose, accidentals that last for a
bar, broken rhythm, tuplets, ties, chords, rests, repeats, endings, parts, several voices, overlays
within a bar, and changes of key, metre, length and tempo. Grace notes take no time. Decorations,
slurs, words and chord names are ignored. Da capo, dal segno and fine are reported, and not played.

All times are exact fractions of a whole note.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from fractions import Fraction

_LONGEST_NAME = 60  # in a file without line feeds everything would be the first tune's number


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
      tied: those that are tied to the next note of the same pitch.
    """

    start: Fraction
    length: Fraction
    pitches: tuple[int, ...]
    tied: frozenset[int] = frozenset()


@dataclasses.dataclass(frozen=True)
class BarLine:
    """A bar line, such as '|', '||', ':|' or '::'.

    Attributes:
      ends: dots on its left: the section that ends here is played once more than that.
      starts: dots on its right, likewise for the section that begins here.
      double: whether it separates sections ('||', '|]', '[|'), as both ends of a tune do.
    """

    ends: int = 0
    starts: int = 0
    double: bool = False

    @classmethod
    def read(cls, text: str) -> BarLine:
        """Reads any sequence of '|', '[', ']' and ':'; '::' is short for ':||:'."""
        bars = text.strip(":")
        if not bars:
            return cls(len(text) // 2, len(text) - len(text) // 2)
        ends, starts = len(text) - len(text.lstrip(":")), len(text) - len(text.rstrip(":"))
        lines = bars.replace(":", "")
        return cls(ends, starts, double=len(lines) > 1 and lines != "[|]")  # which is invisible

    def __or__(self, other: BarLine) -> BarLine:
        """Both signs in one: a bar line may be written once more, such as on the next line."""
        ends, starts = max(self.ends, other.ends), max(self.starts, other.starts)
        return BarLine(ends, starts, self.double or other.double)

    @property
    def is_plain(self) -> bool:
        """Whether it separates bars alone: no sections."""
        return self == BarLine()


TUNE_END = BarLine(double=True)
"""Both ends of a tune."""


@dataclasses.dataclass
class Bar:
    """The music between two bar lines.

    Attributes:
      line: line of the file.
      metre: required length; None if free.
      tempos: (time from the beginning of the bar, whole notes per minute), in order; the first
        time is 0.
      notes: notes in order; those of an overlay follow the others.
      length: total length of the notes.
      left, right: bar lines on either side.
      endings: endings of a repeat in which it is played; empty for all.
      opens: whether an ending begins here.
      part: name of the part (P:) to which it belongs; '' outside parts.
    """

    line: int
    metre: Fraction | None
    tempos: list[tuple[Fraction, Fraction]]
    notes: list[Note] = dataclasses.field(default_factory=list)
    length: Fraction = Fraction(0)
    left: BarLine = TUNE_END
    right: BarLine = TUNE_END
    endings: frozenset[int] = frozenset()
    opens: bool = False
    part: str = ""

    @property
    def minutes(self) -> Fraction:
        """Duration when it is played once."""
        if len(self.tempos) == 1:
            return self.length / self.tempos[0][1]
        starts = [*self.tempos, (self.length, Fraction(1))]
        return sum(
            ((end - start) / tempo for (start, tempo), (end, _) in itertools.pairwise(starts)),
            Fraction(0),
        )


@dataclasses.dataclass
class Tune:
    """A tune.

    Attributes:
      text: its text, with the fields of the file header that it does not have itself.
      line: line of the file at which it begins.
      number, title: contents of X: and of the first T:.
      voices: name (V:) -> its bars in the order of the text; a tune without V: has one voice ''.
      order: names of the parts in the order in which P: has them played; empty: as written.
      unplayed: instruction that is understood and not played -> its line.
      problems: all problems; empty if the tune parses and its bars are full.
    """

    text: str
    line: int
    number: str = ""
    title: str = ""
    voices: dict[str, list[Bar]] = dataclasses.field(default_factory=dict)
    order: str = ""
    unplayed: dict[str, int] = dataclasses.field(default_factory=dict)
    problems: list[Problem] = dataclasses.field(default_factory=list)

    @property
    def bars(self) -> list[Bar]:
        """The bars of the first voice."""
        return next(iter(self.voices.values()), [])

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


def check_bars(bars: list[Bar]) -> Iterator[tuple[int, str]]:
    """Yields (line, description) for each bar whose length differs from its metre.

    A bar may be short where music begins or ends: a pick-up, and the bar that completes it. So next
    to it must be an end of the tune, a double bar line, a repeat sign or an ending.
    """
    for number, bar in enumerate(bars, 1):
        if bar.metre is None or bar.length == bar.metre:
            continue
        followed = number < len(bars) and bars[number].opens
        at_edge = not (bar.left.is_plain and bar.right.is_plain) or bar.opens or followed
        if bar.length > bar.metre or not at_edge:
            yield bar.line, f"bar {number} has {bar.length} of {bar.metre}"


def check_repeats(bars: list[Bar]) -> Iterator[tuple[int, str]]:
    """Yields (line, description) for each later ending that does not follow a repeat sign."""
    for before, bar in zip([None, *bars], bars, strict=False):
        if bar.opens and 1 not in bar.endings and (before is None or not before.right.ends):
            numbers = ",".join(map(str, sorted(bar.endings)))
            yield bar.line, f"ending {numbers} without a repeat sign before it"
