"""`lines`: rendered lines of text. Built in; reads no file."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from seqmodels.data import order
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits
from seqmodels.data.datasets.waves import uniform

NUM_LINES = {"train": 4000, "validation": 300, "test": 300}
HEIGHT, WIDTH = 16, 120
LETTERS = "abcdefghijklmnopqrstuvwxyz"
MOST_LETTERS = 16
_GLYPH = (11, 6)
"""Height and width in pixels of a letter of Pillow's bitmap font."""
_NUM_DRAWS = 4 + 2 * MOST_LETTERS
_NOISE = 60


class Lines(BuiltInDataset):
    """Line i of a split is a function of i.

    Columns: image, text. Grey images of 16 x 120 pixels with made-up words of the letters a to
    z, up to 16 letters and spaces in all, in the bitmap font that Pillow carries. Place and
    brightness differ, now and then letters are a pixel apart, and there is uniform noise.
    """

    description = "lines of made-up words, rendered"

    def fingerprint(self) -> str:
        rule = (NUM_LINES, HEIGHT, WIDTH, LETTERS, MOST_LETTERS, _NOISE, 1)
        digest = hashlib.sha256(repr(rule).encode())
        digest.update(glyphs().data)
        return digest.hexdigest()

    def splits(self) -> Splits:
        splits: Splits = {}
        for split, count in NUM_LINES.items():
            drawn = [draw_line(split, number) for number in range(count)]
            images = RenderedLines(np.stack([image for image, _ in drawn]))
            splits[split] = {"image": images, "text": [text for _, text in drawn]}
        return splits

    def locate(self, split: str, row: int) -> str:
        return f"{split} line {row}"


@dataclasses.dataclass(frozen=True)
class RenderedLines:
    """Images in memory."""

    pixels: UInt8[np.ndarray, "n H W 1"]
    is_generated = True

    @property
    def shape(self) -> tuple[int, int, int]:
        return (HEIGHT, WIDTH, 1)

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, at: Int[np.ndarray, " n"]) -> UInt8[np.ndarray, "n H W 1"]:
        """The images of these rows."""
        return self.pixels[at]


@functools.cache
def glyphs() -> Any:
    """The letters of Pillow's bitmap font, 0 or 1, uint8 [26, height, width]."""
    from PIL import Image, ImageDraw, ImageFont

    font, found = ImageFont.load_default_imagefont(), []
    for letter in LETTERS:
        image = Image.new("L", (_GLYPH[1], _GLYPH[0]))
        ImageDraw.Draw(image).text((0, 0), letter, fill=255, font=font)
        found.append((np.asarray(image) > 127).astype(np.uint8))
    return np.stack(found)


def draw_line(split: str, number: int) -> tuple[UInt8[np.ndarray, "H W 1"], str]:
    """An image of a split, and its text."""
    chance = uniform(order.draw(0, f"lines of {split}", number, _NUM_DRAWS))
    picks, gaps = chance[4 : 4 + MOST_LETTERS], chance[4 + MOST_LETTERS :]
    count = 3 + int((MOST_LETTERS - 2) * chance[0])
    # A sixth of the letters become spaces, and never two of them together.
    letters = zip(picks[:count], gaps[:count], strict=True)
    text = "".join(" " if gap > 5 / 6 else LETTERS[int(26 * pick)] for pick, gap in letters)
    text = " ".join(text.split()) or LETTERS[int(26 * picks[0])]
    ink = np.zeros((HEIGHT, WIDTH))
    down, right = int((HEIGHT - _GLYPH[0] + 1) * chance[1]), int(8 * chance[2])
    for letter, gap in zip(text, gaps, strict=False):
        right += int(gap < 0.15)
        if letter != " ":
            box = ink[down : down + _GLYPH[0], right : right + _GLYPH[1]]
            np.maximum(box, glyphs()[LETTERS.index(letter)], out=box)
        right += _GLYPH[1]
    noise = uniform(order.draw(0, f"noise of lines of {split}", number, ink.size))
    bright = 20 + (80 + 80 * chance[3]) * ink + _NOISE * noise.reshape(ink.shape)
    return np.floor(bright).astype(np.uint8)[..., None], text
