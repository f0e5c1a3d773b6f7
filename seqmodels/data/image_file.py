"""The user's own image files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from seqmodels.config.errors import UserError
from seqmodels.types import ImageInput

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
"""What is taken for an image in a folder."""


def read_image(path: Path, image: ImageInput) -> UInt8[np.ndarray, "H W C"]:
    """Reads an image, resized (bilinear, whatever its proportions) and with the channels asked for.

    Raises:
      UserError: it cannot be read, or is no image.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            picture = opened.convert("L" if image.channels == 1 else "RGB")
    except UnidentifiedImageError:
        raise UserError("is no image that Pillow knows") from None
    except (OSError, Image.DecompressionBombError) as error:
        raise UserError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    size = (image.width, image.height)
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(picture).reshape(image.height, image.width, image.channels)
