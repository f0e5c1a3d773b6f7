"""`digits`: scikit-learn's handwritten digits, 8 x 8 pixels. Part of that library; no download."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from seqmodels.data.datasets.dataset import SPLITS, BuiltInDataset, Splits, hash_fraction

CLASSES = tuple("0123456789")
SHARES = {"validation": 0.1, "test": 0.2}


class Digits(BuiltInDataset):
    """1,797 grey images of the test part of a published set (Alpaydin and Kaynak, 1998, UCI).

    Columns: image, label. Levels 0 to 16 become bytes, 255 being 16. There is no published split: a
    hash of the pixels assigns an image to test (a fifth), validation (a tenth) or training, so that
    equal images would be in one split.
    """

    description = "scikit-learn's handwritten digits"

    def fingerprint(self) -> str:
        pixels, labels = load()
        digest = hashlib.sha256(repr((SHARES, 1)).encode())
        digest.update(pixels.tobytes() + labels.tobytes())
        return digest.hexdigest()

    def splits(self) -> Splits:
        pixels, labels = load()
        rows: dict[str, list[int]] = {split: [] for split in SPLITS}
        for row, image in enumerate(pixels):
            drawn = hash_fraction(image.tobytes().hex())
            held_out = "validation" if drawn < SHARES["validation"] else "test"
            rows[held_out if drawn < sum(SHARES.values()) else "train"].append(row)
        return {
            split: {"image": InMemory(pixels[chosen]), "label": labels[chosen]}
            for split, chosen in rows.items()
        }

    def classes(self, column: str) -> tuple[str, ...] | None:
        return CLASSES if column == "label" else None

    def locate(self, split: str, row: int) -> str:
        return f"{split} digit {row}"


@dataclasses.dataclass(frozen=True)
class InMemory:
    """Images of one size that are there already; storing them would save nothing."""

    pixels: np.ndarray
    is_generated = True

    @property
    def shape(self) -> tuple[int, int, int]:
        height, width, channels = self.pixels.shape[1:]
        return height, width, channels

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, at: Int[np.ndarray, " n"]) -> UInt8[np.ndarray, "n H W C"]:
        return self.pixels[at]


@functools.cache
def load() -> tuple[np.ndarray, np.ndarray]:
    """The images [n, 8, 8, 1] and their classes."""
    from sklearn.datasets import load_digits

    found: Any = load_digits()
    levels = found.images.astype(np.int64)[..., None]
    return ((levels * 255 + 8) // 16).astype(np.uint8), found.target.astype(np.int32)
