"""Parsers of ABC header fields: keys, metres, tempos, lengths (abcnotation.com, standard 2.1)."""

from __future__ import annotations

import re
from fractions import Fraction

DEFAULT_TEMPO = Fraction(30)
"""Whole notes per minute without Q:, which is 120 crotchets."""
_SLOWEST, _FASTEST = 1, 1000  # whole notes per minute; MIDI has no tempo below 0.9
_FIFTHS = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}
"""Number of sharps in the major key on a letter; negative for flats."""
_SHARPS = "FCGDAEB"
_MODES = {"maj": 0, "ion": 0, "mix": -1, "dor": -2, "min": -3, "aeo": -3, "phr": -4, "loc": -5}
_MODES |= {"lyd": 1, "": 0, "m": -3}
"""Mode -> number of sharps beyond those of the major key."""
_ALTERATIONS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
_KEY = re.compile(r"\s*([A-G])([#b]?)\s*([A-Za-z]*)(.*)")
_PIPES = {"HP": {}, "Hp": {"F": 1, "C": 1}}
_CLEF = re.compile(
    r"""(?<!\S)(?:clef=(?:treble|alto|tenor|bass|soprano|mezzosoprano|baritone|perc|none|[GCFP])
    |treble|alto|tenor|bass|perc)\d?([+-]8)?(?!\S)""",
    re.VERBOSE | re.IGNORECASE,
)
_PROPERTY = re.compile(r"""(?<!\S)[A-Za-z]+=(?:"[^"]*"|[^\s"]+)""")
_SHIFT = re.compile(r"(?<!\S)(octave|transpose)=([+-]?\d{1,2})(?!\S)", re.IGNORECASE)
_EXTRA = re.compile(r"(?<!\S)(\^\^|\^|=|__|_)([A-Ga-g])(?!\S)")
_FRACTION = re.compile(r"\s*(\d{1,4})(?:\s*/\s*(\d{1,4}))?\s*")
_METRE = re.compile(r"\(?\s*(\d{1,4}(?:\s*\+\s*\d{1,4})*)\s*\)?\s*/\s*(\d{1,4})")
_BEAT = r"\d{1,4}(?:/\d{1,4})?"
_TEMPO = re.compile(rf"(?:({_BEAT}(?:\s+{_BEAT})*)\s*=|C(\d{{0,4}})\s*=)?\s*(\d{{1,6}})")
_NO_METRE = "none"
_LONGEST = 40  # characters of a field that a message quotes


def alteration(signs: str) -> int:
    """Returns the semitones of an accidental such as '^'."""
    return _ALTERATIONS[signs]


def parse_shift(text: str) -> int | None:
    """Returns the semitones by which a clef and its properties transpose; None without any.

    Args:
      text: content of K: or V:, such as 'G treble-8', 'clef=bass octave=-1' or 'D transpose=2'.
    """
    clef = _CLEF.search(text)
    steps = {"octave": 12, "transpose": 1}
    given = [steps[name.lower()] * int(number) for name, number in _SHIFT.findall(text)]
    if clef is None and not given:
        return None
    octave = clef.group(1) if clef else None
    return sum(given) + ({"+8": 12, "-8": -12}[octave] if octave else 0)


def parse_key(text: str) -> dict[str, int] | None:
    """Returns the semitones by which a key alters letters; unaltered letters are left out.

    Args:
      text: content of K:, such as 'D Mixolydian', 'F#m', 'Bb', 'D =c', 'HP' or 'none', with or
        without a clef.

    Returns:
      None if there is a clef and no key: the key stays.

    Raises:
      ValueError: the text is not a key.
    """
    if text.split()[:1] == ["none"]:  # also the name of a clef
        return {}
    words = _PROPERTY.sub("", _CLEF.sub("", text)).strip()
    if not words:
        return None if text.strip() else {}
    pipes = words.split()[0]
    if pipes in _PIPES:
        return dict(_PIPES[pipes])
    match = _KEY.fullmatch(words)
    if match is None:
        raise ValueError(f"not a key: {_cut(text)}")
    letter, sign, mode, rest = match.groups()
    if mode[:3].lower() == "exp":  # accidentals that are listed explicitly
        rest, mode = f"{mode}{rest}", ""
    short = mode if mode == "m" else mode[:3].lower()
    if short not in _MODES or (mode and len(mode) == 2):
        raise ValueError(f"not a mode: {_cut(mode)}")
    number = _FIFTHS[letter] + 7 * ({"#": 1, "b": -1}.get(sign, 0)) + _MODES[short]
    if not -7 <= number <= 7:
        raise ValueError(f"no key signature has {abs(number)} signs: {_cut(text)}")
    altered = {} if rest.lstrip().startswith("exp") else _signature(number)
    for signs, name in _EXTRA.findall(rest):
        altered[name.upper()] = alteration(signs)
    return {name: by for name, by in altered.items() if by}


def _signature(number: int) -> dict[str, int]:
    """Alterations of a key with `number` sharps, or flats if it is negative."""
    letters = _SHARPS[:number] if number >= 0 else _SHARPS[::-1][:-number]
    return dict.fromkeys(letters, 1 if number > 0 else -1)


def parse_metre(text: str) -> tuple[Fraction | None, bool]:
    """Returns the length of a bar in whole notes (None if free) and whether it is compound.

    Raises:
      ValueError: the text is not a metre.
    """
    words = text.strip()
    if words in ("C", "C|"):
        return Fraction(1), False
    if words.lower() == _NO_METRE or not words:
        return None, False
    match = _METRE.fullmatch(words)
    if match is None:
        raise ValueError(f"not a metre: {_cut(words)}")
    beats = sum(map(int, match.group(1).split("+")))
    if not beats or not int(match.group(2)):
        raise ValueError(f"not a metre: {_cut(words)}")
    return Fraction(beats, int(match.group(2))), beats % 3 == 0 and beats > 3


def parse_unit(text: str) -> Fraction:
    """Returns the default length of a note, from L:, in whole notes.

    Raises:
      ValueError: the text is not a length.
    """
    match = _FRACTION.fullmatch(text)
    parts = [int(part) for part in match.groups("1")] if match else [0]
    if not all(parts):
        raise ValueError(f"not a length of a note: {_cut(text)}")
    return Fraction(*parts)


def default_unit(metre: Fraction | None) -> Fraction:
    """Returns the default length of a note without L:, which is 1/16 if the metre is below 3/4."""
    return Fraction(1, 16 if metre is not None and metre < Fraction(3, 4) else 8)


def parse_tempo(text: str, unit: Fraction) -> Fraction | None:
    """Returns whole notes per minute; None if Q: has only words, such as "Allegro".

    Raises:
      ValueError: the text is not a tempo.
    """
    words = re.sub(r'"[^"]*"', "", text).strip()
    if not words:
        return None
    match = _TEMPO.fullmatch(words)
    if match is None or not int(match.group(3)):
        raise ValueError(f"not a tempo: {_cut(words)}")
    beats, units, number = match.groups()
    beat = unit * int(units or 1)  # 'C3=40' and '120' are outdated
    if beats:
        beat = sum((parse_unit(part) for part in beats.split()), Fraction(0))
    tempo = beat * int(number)
    if not _SLOWEST <= tempo <= _FASTEST:
        allowed = f"{4 * _SLOWEST} to {4 * _FASTEST} crotchets per minute"
        raise ValueError(f"not a tempo: {_cut(words)}: must be {allowed}")
    return tempo


def _cut(text: str) -> str:
    """A text in quotes, for messages of one line."""
    return repr(text.strip()[:_LONGEST])
