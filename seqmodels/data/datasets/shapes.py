"""`shapes`: circles, squares, triangles and crosses, drawn on noise. Built in; reads no file.

`shapes:224` draws images of 224 x 224 pixels; without a size they have 32 x 32.
"""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
from jaxtyping import Float, Int, UInt8

from seqmodels.config.data import DataConfig
from seqmodels.data import order
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits
from seqmodels.data.drawing import KINDS, cover, uniform

CLASS_NAMES = KINDS
IMAGE_SIZE = 32
SPLITS = {
    "train": (0, 50_000),
    "validation": (50_000, 52_000),
    "test": (52_000, 54_000),
}
"""Number of the first image, and of the one after the last."""

_NUM_DRAWS = 11  # of an image, the noise of its pixels apart
_NOISE = 0.15
_SAMPLE = 16  # images whose pixels the fingerprint includes


class Shapes(BuiltInDataset):
    """Image i is a function of i and of the size alone: made where it is needed, never stored.

    Columns: image, label. A shape of class i mod 4 in colour, anti-aliased, at a random place, size
    and angle, on a noisy ground of another brightness. No transcendental function takes part, so
    that every machine draws the same bytes.
    """

    description = "shapes, made up and never stored"

    def __init__(self, size: int = IMAGE_SIZE) -> None:
        self._size = size

    @classmethod
    def open(cls, config: DataConfig) -> Shapes:
        _, colon, size = config.name.partition(":")
        return cls(int(size)) if colon else cls()

    def fingerprint(self) -> str:
        digest = hashlib.sha256(repr((SPLITS, CLASS_NAMES, self._size)).encode())
        digest.update(draw_shapes(np.arange(_SAMPLE), self._size).data)
        return digest.hexdigest()

    def splits(self) -> Splits:
        return {
            split: {
                "image": _Drawn(first, end, self._size),
                "label": (np.arange(first, end) % len(CLASS_NAMES)).astype(np.int32),
            }
            for split, (first, end) in SPLITS.items()
        }

    def classes(self, column: str) -> tuple[str, ...] | None:
        return CLASS_NAMES if column == "label" else None


@dataclasses.dataclass(frozen=True)
class _Drawn:
    """Images `first` to `end` - 1, drawn when they are read."""

    first: int
    end: int
    size: int
    is_generated = True

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.size, self.size, 3)

    def __len__(self) -> int:
        return self.end - self.first

    def read(self, at: Int[np.ndarray, " n"]) -> UInt8[np.ndarray, "n H W C"]:
        return draw_shapes(self.first + at, self.size)


def draw_shapes(numbers: Int[np.ndarray, " n"], size: int) -> UInt8[np.ndarray, "n size size 3"]:
    """Draws the images of these numbers."""
    draws = np.zeros((len(numbers), _NUM_DRAWS + size * size), np.uint64)
    for row, number in enumerate(numbers.tolist()):
        draws[row] = order.draw(0, "shapes", number, draws.shape[1])
    chance = uniform(draws[:, :_NUM_DRAWS])
    noise = _NOISE * (2 * uniform(draws[:, _NUM_DRAWS:]) - 1).reshape(-1, size, size, 1)
    cover = _cover(numbers % len(CLASS_NAMES), chance[:, :4], size)[..., None]
    # Shape and ground differ in brightness by 0.3 or more in every channel, either way round.
    low, high = 0.45 * chance[:, 4:7], 0.75 + 0.25 * chance[:, 7:10]
    bright = chance[:, 10:11] < 0.5
    shape = np.where(bright, high, low)[:, None, None]
    ground = np.where(bright, low, high)[:, None, None]
    return np.rint(255 * np.clip(ground + cover * (shape - ground) + noise, 0, 1)).astype(np.uint8)


def _cover(
    kinds: Int[np.ndarray, " n"], chance: Float[np.ndarray, "n 4"], size: int
) -> Float[np.ndarray, "n size size"]:
    """Share of each pixel that the shape covers, at a place, a size and an angle by chance."""
    radius = size * (0.18 + 0.14 * chance[:, 0])
    place = radius[:, None] + (size - 2 * radius[:, None]) * chance[:, 1:3]
    return cover(kinds, radius, place, 2 * chance[:, 3] - 1, size)
