"""Symbols of a line of music in ABC (sections 4 and 7): their pattern, notes and lengths."""

from __future__ import annotations

import functools
import re
from fractions import Fraction

from seqmodels.music import abc_keys

_LENGTH = r"\d*(?:/+\d*)?"  # unambiguous, because chords repeat it
_PITCH = r"(?:\^{1,2}|_{1,2}|=)?[A-Ga-g][,']*"
_TEXT = r'"[^"]*"|![^!|\s]+!|\+[^+|\s]+\+'
_SYMBOL = r"[.~H-Wh-w]"
# '#', '*', ';', '?' and '@' are reserved and ignored (section 8.1).
TOKEN = re.compile(
    rf"""
    (?P<skip>[ \t\r`\\$#*;?@]+|y\d*|\{{[^}}]*\}})
    |(?P<text>{_TEXT})
    |(?P<symbol>{_SYMBOL})
    |(?P<field>\[[A-Za-z]:[^\]]*\])
    |(?P<bar>:*(?:\[?\|+\]?:*)+|::+)
    |\[?(?P<ending>(?:(?<=[\[|:])|(?<=\|\]))\d[\d,-]*)
    |\((?P<tuplet>\d+(?::\d*){{0,2}})
    |(?P<overlay>\(?&\)?)
    |(?P<slur>[()])
    |(?P<broken>>+|<+)
    |(?P<note>(?P<pitch>{_PITCH})(?P<length>{_LENGTH})(?P<tie>-?))
    |(?P<rest>(?P<wait>[zxZX])(?P<waited>{_LENGTH}))
    |\[(?P<chord>(?:(?:[ ]|{_TEXT}|{_SYMBOL})*+{_PITCH}{_LENGTH}-?[ ]*+)++)\](?P<spread>{_LENGTH})
        (?P<held>-?)
    |(?P<end>!|-)
    """,
    re.VERBOSE,
)
SYMBOLS = frozenset(".~HLMOPSTuv")
"""Symbols that mean a decoration without U:."""
_NOTE = re.compile(r"(\^{1,2}|_{1,2}|=)?([A-Ga-g])([,']*)")
_MEMBER = re.compile(rf"(?:[ ]|{_TEXT}|{_SYMBOL})*+({_PITCH})({_LENGTH})(-?)[ ]*+")
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_MIDDLE_C = 60
_MARKS = re.compile(r"(dc|ds|dacapo|dalsegno)(al(fine|coda))?|fine|dacoda|tocoda|alcoda")
_LARGEST = 999  # of a tuplet


def members(chord: str) -> list[tuple[str, str, str]]:
    """Returns (note, length, tie) of each note of a chord."""
    return _MEMBER.findall(chord)


@functools.cache
def parse_note(name: str) -> tuple[str, int, int | None]:
    """Returns letter and octave of a note as written, its unaltered pitch, and its accidental."""
    match = _NOTE.fullmatch(name)
    assert match is not None
    signs, letter, marks = match.groups()
    octave = letter.islower() + marks.count("'") - marks.count(",")
    natural = _MIDDLE_C + _SEMITONES[letter.upper()] + 12 * octave
    return letter + marks, natural, abc_keys.alteration(signs) if signs else None


@functools.cache
def parse_length(text: str) -> Fraction:
    """Returns the factor that '3/2', '/', '//' or '' denotes.

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


def parse_tuplet(text: str, *, compound: bool) -> tuple[Fraction, int]:
    """Returns the factor of the lengths, and the number of notes, of 'p:q:r' (section 4.13).

    p notes take the time of q, for the next r notes.

    Raises:
      ValueError: a number is 0 or too large, or q is missing and has no default for this p.
    """
    free = 3 if compound else 2
    times = {2: 3, 3: 2, 4: 3, 5: free, 6: 2, 7: free, 8: 3, 9: free}
    given = [part[:4] for part in text.split(":")]
    if any(part and not 0 < int(part) <= _LARGEST for part in given):
        raise ValueError(f"numbers of a tuplet must be 1 to {_LARGEST}")
    notes = int(given[0])
    parts = [*given, "", ""]
    time = int(parts[1]) if parts[1] else times.get(notes)
    if time is None:
        raise ValueError(f"a tuplet of {notes} must say its time, as in ({notes}:8")
    return Fraction(time, notes), int(parts[2] or notes)


def parse_endings(text: str) -> frozenset[int]:
    """Returns the numbers of '1,3' or '1-3'.

    Raises:
      ValueError: they are not numbers of endings.
    """
    numbers: set[int] = set()
    for part in filter(None, text.strip(",-").split(",")):
        match = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", part)
        if match is None:
            raise ValueError("not numbers of endings")
        first, last = match.groups()
        numbers |= set(range(int(first), int(last or first) + 1))
    if not numbers:
        raise ValueError("not numbers of endings")
    return frozenset(numbers)


def unplayed_mark(text: str) -> str | None:
    """Returns a decoration or annotation if it asks for another order of playing, else None."""
    words = text.strip('"!+^_<>@ ')
    plain = "".join(words.lower().replace(".", "").split())
    return words if _MARKS.fullmatch(plain) else None
