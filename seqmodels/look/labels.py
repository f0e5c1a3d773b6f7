"""Tokens as they can be drawn."""

from __future__ import annotations

import functools

_VISIBLE = {" ": "\u2423", "\n": "\u21b5", "\t": "\u21e5", "\r": "\u2190", "": "\u2205"}
"""Marks for what would leave no ink."""
MOST = 12
"""Characters of a label; a longer one is cut."""


def drawn(label: str) -> str:
    """A label with only characters that the font of pictures has.

    Spaces and line feeds become visible signs. A character that the font lacks, such as a Chinese
    one or an emoji, becomes its code point, as in U+4E2D.
    """
    label = visible(label)
    if len(label) > MOST:
        label = label[: MOST - 1] + "\u2026"
    return legible(label)


def legible(text: str) -> str:
    """A text of any length, with the code points of characters that the font lacks."""
    known = _known()
    return "".join(c if ord(c) in known else f"U+{ord(c):04X}" for c in text)


def visible(label: str) -> str:
    """A label whose spaces, tabs and line feeds, or whose lack of any character, can be seen."""
    if not label:
        return _VISIBLE[""]
    return "".join(_VISIBLE.get(character, character) for character in label)


@functools.cache
def _known() -> frozenset[int]:
    """Code points that the default font draws."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(font_manager.findfont("DejaVu Sans")).get_charmap())
