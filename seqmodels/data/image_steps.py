"""Images as sequences: of their rows or columns, or of their pixels in one of two orders."""

from __future__ import annotations

import functools

import numpy as np
from jaxtyping import Float, Int

from seqmodels.config.features import ImageReading
from seqmodels.data import order
from seqmodels.types import ImageInput, ValueInput


def input_of(image: ImageInput, reading: ImageReading) -> ImageInput | ValueInput:
    """The shape that a model reads: an image, or values with the features of a step."""
    if reading is ImageReading.IMAGE:
        return image
    pixels = {ImageReading.ROWS: image.width, ImageReading.COLUMNS: image.height}.get(reading, 1)
    return ValueInput(pixels * image.channels)


def num_steps(image: ImageInput, reading: ImageReading) -> int | None:
    """Steps of the sequence; None where the image is not read as one."""
    if reading is ImageReading.IMAGE:
        return None
    if reading is ImageReading.COLUMNS:
        return image.width
    return image.height * (1 if reading is ImageReading.ROWS else image.width)


def to_steps(
    images: Float[np.ndarray, "b H W C"], reading: ImageReading
) -> Float[np.ndarray, "b ..."]:
    """Images as a model reads them: [b, H, W C] rows, [b, W, H C] columns, [b, H W, C] pixels,
    or as they are."""
    count, height, width, channels = images.shape
    match reading:
        case ImageReading.IMAGE:
            return images
        case ImageReading.ROWS:
            return images.reshape(count, height, width * channels)
        case ImageReading.COLUMNS:
            return images.swapaxes(1, 2).reshape(count, width, height * channels)
        case ImageReading.PIXELS:
            return images.reshape(count, height * width, channels)
        case ImageReading.PERMUTED_PIXELS:
            return images.reshape(count, -1, channels)[:, pixel_order(height * width)]


def from_steps(
    values: Float[np.ndarray, " ..."], image: ImageInput, reading: ImageReading
) -> Float[np.ndarray, "H W C"]:
    """The image of one row of `to_steps`."""
    if reading is ImageReading.COLUMNS:
        return values.reshape(image.width, image.height, image.channels).swapaxes(0, 1)
    if reading is ImageReading.PERMUTED_PIXELS:
        values = values[np.argsort(pixel_order(len(values)))]
    return values.reshape(image.height, image.width, image.channels)


@functools.cache
def pixel_order(size: int) -> Int[np.ndarray, " n"]:
    """The order of permuted pixels: the same for every run, data set and seed."""
    return order.permutation(0, "permuted pixels", 0, size)
