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
_EXTRA = re.compile(r"(?<!\S)(\^\^|\^|=|__|_)([A-Ga-g])(?!\S)")
_FRACTION = re.compile(r"\s*(\d+)\s*/\s*(\d+)\s*")
_METRE = re.compile(r"\s*\(?\s*(\d+(?:\s*\+\s*\d+)*)\s*\)?\s*/\s*(\d+)\s*")
_TEMPO = re.compile(r"((?:\d+/\d+\s*)+)=\s*(\d+)")
_NO_METRE = "none"


def alteration(signs: str) -> int:
    """Returns the semitones of an accidental such as '^'."""
    return _ALTERATIONS[signs]


def parse_key(text: str) -> dict[str, int]:
    """Returns the semitones by which a key alters letters; unaltered letters are left out.

    Args:
      text: content of K:, such as 'D Mixolydian', 'F#m', 'Bb', 'D =c', 'HP' or 'none'.

    Raises:
      ValueError: the text is not a key.
    """
    words = text.split("%")[0].strip()
    pipes, _, rest = words.partition(" ")
    if pipes in _PIPES:
        return dict(_PIPES[pipes])
    if words.lower().startswith("none") or not words:
        return {}
    match = _KEY.fullmatch(words)
    if match is None:
        raise ValueError(f"not a key: {text.strip()!r}")
    letter, sign, mode, rest = match.groups()
    if mode[:3].lower() in ("cle", "exp"):  # `clef=`, and accidentals that are listed explicitly
        rest, mode = f"{mode}{rest}", ""
    short = mode if mode == "m" else mode[:3].lower()
    if short not in _MODES or (mode and len(mode) == 2):
        raise ValueError(f"not a mode: {mode!r}")
    number = _FIFTHS[letter] + 7 * ({"#": 1, "b": -1}.get(sign, 0)) + _MODES[short]
    if not -7 <= number <= 7:
        raise ValueError(f"no key signature has {abs(number)} signs: {text.strip()!r}")
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
    words = text.split("%")[0].strip()
    if words in ("C", "C|"):
        return Fraction(1), False
    if words.lower() == _NO_METRE or not words:
        return None, False
    match = _METRE.fullmatch(words)
    if match is None:
        raise ValueError(f"not a metre: {words!r}")
    beats = sum(map(int, match.group(1).split("+")))
    if not beats or not int(match.group(2)):
        raise ValueError(f"not a metre: {words!r}")
    return Fraction(beats, int(match.group(2))), beats % 3 == 0 and beats > 3


def parse_unit(text: str) -> Fraction:
    """Returns the default length of a note, from L:, in whole notes.

    Raises:
      ValueError: the text is not a length.
    """
    match = _FRACTION.fullmatch(text.split("%")[0])
    if match is None or not int(match.group(1)) or not int(match.group(2)):
        raise ValueError(f"not a length of a note: {text.strip()!r}")
    return Fraction(int(match.group(1)), int(match.group(2)))


def default_unit(metre: Fraction | None) -> Fraction:
    """Returns the default length of a note without L:, which is 1/16 if the metre is below 3/4."""
    return Fraction(1, 16 if metre is not None and metre < Fraction(3, 4) else 8)


def parse_tempo(text: str, unit: Fraction) -> Fraction | None:
    """Returns whole notes per minute; None if Q: has only words, such as "Allegro".

    Raises:
      ValueError: the text is not a tempo.
    """
    words = re.sub(r'"[^"]*"', "", text.split("%")[0]).strip()
    if not words:
        return None
    match = _TEMPO.fullmatch(words)
    if match is None and not words.removeprefix("C=").strip().isdecimal():
        raise ValueError(f"not a tempo: {words!r}")
    beat, number = (unit, words.removeprefix("C=")) if match is None else match.groups()
    if isinstance(beat, str):
        beat = sum((parse_unit(part) for part in beat.split()), Fraction(0))
    if not int(number):
        raise ValueError(f"not a tempo: {words!r}")
    tempo = beat * int(number)
    if not _SLOWEST <= tempo <= _FASTEST:
        allowed = f"{4 * _SLOWEST} to {4 * _FASTEST} crotchets per minute"
        raise ValueError(f"not a tempo: {words!r}: must be {allowed}")
    return tempo
