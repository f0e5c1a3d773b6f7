"""The user's own image files."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from seqmodels.config.errors import UserError
from seqmodels.types import ImageInput

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
"""What is taken for an image in a folder."""
_MODES = {1: "L", 3: "RGB"}
"""Channels -> Pillow's mode."""
_DEEP = ("I", "F")  # I;16, I;16B and so on too


def read_image(
    path: Path, image: ImageInput, resampling: str = "bilinear"
) -> UInt8[np.ndarray, "H W C"]:
    """Reads an image, resized and with the channels asked for.

    Raises:
      UserError: see `read_pixels`.
    """
    return resize(read_pixels(path, image.channels), image.height, image.width, resampling)


def read_pixels(source: Path | BytesIO, channels: int) -> UInt8[np.ndarray, "h w C"]:
    """Reads an image at its own size, with the channels asked for.

    Args:
      source: a file, or its content.
      channels: 1 for gray, 3 for colors.

    Raises:
      UserError: it cannot be read, is not an image, has more than 8 bits per channel, or no file
        gives that many channels. The message does not name the file.
    """
    from PIL import Image, UnidentifiedImageError

    if channels not in _MODES:
        raise UserError(f"the run reads {channels} channels; of a file 1 or 3 can be read")
    try:
        # A warning about a damaged tag does not name the file; what matters is raised.
        with warnings.catch_warnings(action="ignore"), Image.open(source) as opened:
            if opened.mode.startswith(_DEEP):  # Pillow would clip them at 255
                raise UserError(
                    f"has more than 8 bits a channel (mode {opened.mode}); save it in 8"
                )
            picture = opened.convert(_MODES[channels])
    except UserError:
        raise
    except UnidentifiedImageError:
        raise UserError("is not an image that Pillow knows") from None
    # A damaged file raises what its reader stumbles over: SyntaxError, struct.error, EOFError ..
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UserError(f"cannot be read ({' '.join(reason.split())})") from None
    return np.asarray(picture).reshape(picture.height, picture.width, channels)


def resize(
    pixels: UInt8[np.ndarray, "h w C"], height: int, width: int, resampling: str = "bilinear"
) -> UInt8[np.ndarray, "H W C"]:
    """Returns an image of 1 or 3 channels at another size, whatever its proportions.

    Args:
      resampling: a filter of Pillow; see `config.features.Resampling`.
    """
    from PIL import Image

    if pixels.shape[:2] == (height, width):
        return pixels
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    resized = picture.resize((width, height), Image.Resampling[resampling.upper()])
    return np.asarray(resized).reshape(height, width, pixels.shape[2])


def to_channels(pixels: UInt8[np.ndarray, "H W c"], channels: int) -> UInt8[np.ndarray, "H W C"]:
    """Returns an image of 1 or 3 channels in gray (1) or in colors (3)."""
    from PIL import Image

    if pixels.shape[2] == channels:
        return pixels
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    return np.asarray(picture.convert(_MODES[channels])).reshape(*pixels.shape[:2], channels)
