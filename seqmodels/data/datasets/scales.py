"""`scales`: scales and jigs in ABC, made by rule. Built in; reads no file.

Every tune has X, T, M, L and K, and every bar is full, with the pick-up of a jig counted to its
last bar. Of 1200 tunes 5 of 100 are held out for validation and 5 for the test, by their notes.
"""

from __future__ import annotations

import hashlib
import itertools

from seqmodels.data import order
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits
from seqmodels.data.datasets.tunes import deal_tunes

NUM_TUNES = 1200
HELD_OUT = 0.05
_KEYS = (
    *(f"{tonic} Major" for tonic in ("C", "D", "E", "F", "G", "A", "Bb")),
    *(f"{tonic} Minor" for tonic in ("A", "B", "C", "D", "E", "F#", "G")),
    *(f"{tonic} Dorian" for tonic in ("D", "A", "E", "G")),
    *(f"{tonic} Mixolydian" for tonic in ("D", "G", "A", "C")),
)
_FIGURES = {
    "straight": (0,),
    "in repeated notes": (0, 0),
    "in thirds": (0, 2),
    "in turns": (0, 1, 2, 0),
    "in fours": (0, 1, 2, 3),
    "in threes": (0, 1, 2),
    "in broken chords": (0, 2, 4),
}
"""The notes that replace each degree of a scale, in degrees above it."""
_CHORDS = ((0, 3, 4, 0), (0, 5, 3, 4), (0, 4, 0, 4), (0, 3, 0, 4), (0, 6, 0, 4), (0, 1, 4, 0))
"""Roots of four bars, in degrees."""
_JIGS = (
    (0, 2, 4, 2, 4, 2),
    (0, 2, 4, 7, 4, 2),
    (0, 0, 2, 4, 2, 0),
    (0, 1, 2, 4, 2, 1),
    (4, 2, 0, 2, 1, 0),
    (2, 1, 0, 2, 4, 2),
    (0, -1, 0, 2, 1, 2),
    (4, 5, 4, 2, 1, 2),
)
"""Bars of six quavers, in degrees above the root of the chord."""
_LETTERS = "CDEFGAB"
_LINE = 4  # bars


class Scales(BuiltInDataset):
    """Tune i is a function of i. Column: text, a tune per row."""

    description = "scales and jigs, made up"

    def fingerprint(self) -> str:
        rule = (NUM_TUNES, HELD_OUT, _KEYS, _FIGURES, _CHORDS, _JIGS, _LINE, 1)
        return hashlib.sha256(repr(rule).encode()).hexdigest()

    def splits(self) -> Splits:
        dealt = deal_tunes(make_tunes(), HELD_OUT, HELD_OUT)
        return {split: {"text": tunes} for split, tunes in dealt.items()}


def make_tunes() -> list[str]:
    """Returns every scale in every key, and jigs up to NUM_TUNES."""
    scales = list(itertools.product(_FIGURES, _KEYS))
    jigs = range(NUM_TUNES - len(scales))
    tunes = [_scale(figure, key) for figure, key in scales] + [_jig(index) for index in jigs]
    mixed = order.permutation(0, "order of scales and jigs", 0, NUM_TUNES).tolist()
    return [f"X:{number}\n{tunes[i]}\n\n" for number, i in enumerate(mixed, 1)]


def _scale(name: str, key: str) -> str:
    """An octave up and down again, each degree as the figure has it, and a long tonic."""
    figure = _FIGURES[name]
    degrees = [degree + step for degree in range(8) for step in figure]
    degrees += [degree - step for degree in range(7, -1, -1) for step in figure]
    metre, quavers, tonic = ("6/8", 6, "6") if len(figure) == 3 else ("4/4", 8, "8")
    notes = [_note(key, degree) for degree in degrees]
    bars = ["".join(notes[i : i + quavers]) for i in range(0, len(notes), quavers)]
    return _tune(f"Scale {name}", metre, key, [[*bars, _note(key, 0) + tonic]], "")


def _jig(index: int) -> str:
    """Two parts of eight bars, each repeated: four chords twice, the second time with an end."""
    draws = iter(order.draw(0, "jigs", index, 32).tolist())
    pick = lambda choices: choices[next(draws) % len(choices)]
    key, parts, pick_up = pick(_KEYS), [], pick((-1, 2, 4))
    for height in (0, pick((2, 4))):
        chords = pick(_CHORDS)
        bars = [[root + height + step for step in pick(_JIGS)] for root in (*chords, *chords[:3])]
        end = f"{_note(key, 0)}3 {_note(key, 0)}2"
        parts.append([*("".join(_note(key, d) for d in bar) for bar in bars), end])
    return _tune("Jig", "6/8", key, parts, _note(key, pick_up))


def _tune(title: str, metre: str, key: str, parts: list[list[str]], pick_up: str) -> str:
    """The text of a tune, without its number."""
    lines = []
    for part in parts:
        first = "|:" if not pick_up else f"|:{pick_up}|"
        rows = ["|".join(part[i : i + _LINE]) for i in range(0, len(part), _LINE)]
        lines += [first + rows[0], *rows[1:]]
        lines[-len(rows) :] = [*(f"{row}|" for row in lines[-len(rows) : -1]), f"{lines[-1]}:|"]
    return "\n".join([f"T:{title} in {key}", f"M:{metre}", "L:1/8", f"K:{key}", *lines])


def _note(key: str, degree: int) -> str:
    """A degree above the tonic that is nearest above middle C, as ABC writes it."""
    octave, place = divmod(_LETTERS.index(key[0]) + degree, 7)
    letter = _LETTERS[place]
    if octave <= 0:
        return letter + "," * -octave
    return letter.lower() + "'" * (octave - 1)
