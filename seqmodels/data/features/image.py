"""`image`: images of one size, with scaled pixels.

Images that take time to decode are decoded once, and kept in the store, where all of them fit into
4 GiB; of larger sets each batch decodes its own.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int, UInt8

from seqmodels.config.errors import UserError
from seqmodels.config.features import ImageConfig, Resampling
from seqmodels.data import store
from seqmodels.data.features.feature import ColumnSource, FeatureBase, Opened
from seqmodels.data.image_file import read_image, resize, to_channels
from seqmodels.data.image_steps import from_steps, input_of, num_steps, to_steps
from seqmodels.protocols import Part
from seqmodels.types import ImageInput, ValueInput

MAX_ARRAY_BYTES = 4 << 30
"""Of all splits together; more is decoded batch by batch."""
_DECODER = 2  # a part of the store's key; to be raised where files give other pixels
_CHUNK = 256  # images decoded at once
_SHADES = " .:-=+*#%@"
_MOST_COLUMNS = 48


class Image(FeatureBase):
    """The form of the images.

    Args:
      config: size and channels.
      image: what a model reads.
    """

    kind: ClassVar[str] = "image"
    given: ClassVar[str] = "file"
    key: ClassVar[str] = "file"

    def __init__(self, config: ImageConfig, image: ImageInput) -> None:
        self.config, self.image = config, image
        for field, numbers in zip(("mean", "deviation"), config.scaling(), strict=True):
            if len(numbers) not in (1, image.channels):
                raise UserError(
                    f"{field}={getattr(config, field)}: has {len(numbers)} numbers for "
                    f"{describe(image)}"
                )

    @property
    def input(self) -> ImageInput | ValueInput:
        """Height, width and channels, or the values of a step; see `ImageReading`."""
        return input_of(self.image, self.config.reading)

    @property
    def num_steps(self) -> int | None:
        """Steps of each row; None where an image is not read as a sequence."""
        return num_steps(self.image, self.config.reading)

    @classmethod
    def open(cls, config: ImageConfig, source: ColumnSource, saved: Image | None) -> Opened:
        """Finds the form of the images, and decodes them where that pays.

        Raises:
          UserError: an image cannot be read, has another size than the others, or the run was
            trained on others.
        """
        splits, digest = source.images()
        image = _find_form(config, next(iter(splits.values())))
        if saved is not None and saved.image != image:
            raise UserError(
                f"{source.field}: {describe(image)}; the run was trained on {describe(saved.image)}"
            )
        feature = cls(config, image)
        as_stored = all(column.shape == dataclasses.astuple(image) for column in splits.values())
        if not as_stored:
            how = config.resampling
            other = "" if how is Resampling.BILINEAR else f" {how}"
            form = f"{digest} {dataclasses.astuple(image)}{other}"
            digest = hashlib.sha256(form.encode()).hexdigest()
        field = None if config.size is not None else f"data.{source.role}.size"
        lazy = {
            split: EncodedImages(
                _Lazy(
                    *(column, image, field, functools.partial(source.dataset.locate, split)),
                    config.resampling,
                ),
                config,
            )
            for split, column in splits.items()
        }
        size = math.prod(dataclasses.astuple(image)) * sum(map(len, splits.values()))
        if size > MAX_ARRAY_BYTES or all(column.is_generated for column in splits.values()):
            return Opened(feature, lazy, digest, is_whole=True)
        where = store.place(source.cache, "images", [digest, source.column, _DECODER])
        entry = store.open_arrays(
            source.cache, where, lambda: ({n: _read_all(c.images) for n, c in lazy.items()}, {})
        )
        columns = {split: EncodedImages(_Stored(entry.arrays[split]), config) for split in splits}
        return Opened(feature, columns, digest, where=str(where), is_whole=True)

    def read(self, given: str) -> UInt8[np.ndarray, "H W C"]:
        """Pixels of a file, resized; raises UserError where it is not an image."""
        return read_image(Path(given), self.image, self.config.resampling)

    def batch(self, encoded: Sequence[np.ndarray], rows: int) -> Part:
        """Rows of pixels."""
        pixels = np.zeros((rows, *encoded[0].shape), np.uint8)
        pixels[: len(encoded)] = encoded
        mask = (np.arange(rows) < len(encoded)).astype(np.float32)
        return Part(to_steps(normalize(pixels, self.config), self.config.reading), None, mask)

    def show(self, values: np.ndarray, segment_ids: np.ndarray | None) -> str:
        """The image, drawn with characters."""
        del segment_ids
        return render(from_steps(values, self.image, self.config.reading), self.config)

    def pixels(self, values: np.ndarray) -> UInt8[np.ndarray, "H W C"]:
        """The image of a row of a batch, to be drawn."""
        mean, deviation = map(np.array, self.config.scaling())
        image = from_steps(values, self.image, self.config.reading) * deviation + mean
        return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)

    def picture(self, values: np.ndarray) -> np.ndarray | None:
        """The image itself."""
        return self.pixels(values)

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `from_json` reads."""
        return {"kind": self.kind, "image": dataclasses.asdict(self.image)}

    @classmethod
    def from_json(cls, values: dict[str, Any], config: ImageConfig) -> Image:
        """Rebuilds the object that `to_json` wrote."""
        return cls(config, ImageInput(**values["image"]))

    def summary(self) -> str:
        """The size."""
        return describe(self.image)

    def description(self) -> dict[str, Any]:
        """Facts about it that a run records for its reader."""
        return {"image": dataclasses.asdict(self.image)}


class EncodedImages:
    """The images of one split; see `feature.EncodedColumn`."""

    lengths: np.ndarray | None = None
    num_steps: np.ndarray | None = None
    unit = "image"

    def __init__(self, images: _Lazy | _Stored, config: ImageConfig) -> None:
        self.images, self._config = images, config

    def __len__(self) -> int:
        return len(self.images)

    def part(self, chosen: np.ndarray, width: int | None) -> Part:
        """Images [b, H, W, C] float32, or their steps [b, T, D]; an empty row is 0."""
        del width
        real = chosen >= 0
        images = np.zeros((len(chosen), *self.images.shape), np.float32)
        images[real] = normalize(self.images.read(chosen[real]), self._config)
        return Part(to_steps(images, self._config.reading), None, real.astype(np.float32))

    def content(self, kept: np.ndarray) -> list[np.ndarray]:
        """Nothing: whatever determines the images is hashed."""
        del kept
        return []

    def sizes(self, kept: np.ndarray) -> dict[str, int]:
        """Nothing to count beside the rows."""
        del kept
        return {}


@dataclasses.dataclass(frozen=True)
class _Stored:
    """Images that were decoded."""

    pixels: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.pixels.shape[1:]

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, at: Int[np.ndarray, " n"]) -> UInt8[np.ndarray, "n H W C"]:
        return np.asarray(self.pixels[at])


@dataclasses.dataclass(frozen=True)
class _Lazy:
    """Images that are decoded, or drawn, when they are asked for.

    Attributes:
      resizing: the field of the config that would resize them; None where they are resized.
      locate: says where a row comes from.
      resampling: how they are resized.
    """

    column: Any
    image: ImageInput
    resizing: str | None
    locate: Callable[[int], str]
    resampling: Resampling

    @property
    def shape(self) -> tuple[int, ...]:
        return dataclasses.astuple(self.image)

    def __len__(self) -> int:
        return len(self.column)

    def read(self, at: Int[np.ndarray, " n"]) -> UInt8[np.ndarray, "n H W C"]:
        found = self.column.read(at)
        if isinstance(found, np.ndarray) and found.shape[1:] == self.shape:
            return found
        height, width, channels = self.shape
        for row, one in zip(at.tolist(), found, strict=True):
            if self.resizing is not None and one.shape[:2] != (height, width):
                raise UserError(
                    f"{self.locate(row)}: {one.shape[0]} x {one.shape[1]} pixels, where the first "
                    f"image has {height} x {width}; {self.resizing}=N resizes all"
                )
        how = (height, width, self.resampling)
        return np.stack([resize(to_channels(one, channels), *how) for one in found])


def _find_form(config: ImageConfig, column: Any) -> ImageInput:
    """The size and channels of all images; those of the first where the column does not say."""
    height, width, channels = column.shape
    if config.size is not None:
        height = width = config.size
    elif height is None or width is None:
        height, width = column.read(np.arange(1))[0].shape[:2]
    return ImageInput(height, width, config.channels or channels)


def _read_all(images: Any) -> UInt8[np.ndarray, "n H W C"]:
    pixels = np.zeros((len(images), *images.shape), np.uint8)
    for first in range(0, len(images), _CHUNK):
        at = np.arange(first, min(first + _CHUNK, len(images)))
        pixels[at] = images.read(at)
    return pixels


def describe(image: ImageInput) -> str:
    """The size in words."""
    return f"images of {image.height} x {image.width} x {image.channels}"


def normalize(
    pixels: UInt8[np.ndarray, "b H W C"], config: ImageConfig
) -> Float[np.ndarray, "b H W C"]:
    """Bytes as float32: (x / 255 - mean) / deviation."""
    mean, deviation = (np.array(numbers, np.float32) for numbers in config.scaling())
    return ((pixels.astype(np.float32) / np.float32(255)) - mean) / deviation


def render(image: Float[np.ndarray, "H W C"], config: ImageConfig) -> str:
    """An image of normalized values as characters, dark to bright; small enough for a terminal."""
    mean, deviation = map(np.array, config.scaling())
    gray = np.clip((image * deviation + mean).mean(axis=-1), 0.0, 1.0)
    height, width = gray.shape
    columns = min(width, _MOST_COLUMNS)
    rows = max(1, round(columns * height / width / 2))  # a character is twice as high as wide
    down, right = np.arange(rows) * height // rows, np.arange(columns) * width // columns
    shades = np.rint(gray[down[:, None], right[None]] * (len(_SHADES) - 1)).astype(int)
    return "\n".join("".join(_SHADES[shade] for shade in line) for line in shades)
