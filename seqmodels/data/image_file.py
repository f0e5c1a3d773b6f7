"""The user's own image files."""

from __future__ import annotations

import warnings
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


def read_image(path: Path, image: ImageInput) -> UInt8[np.ndarray, "H W C"]:
    """Reads an image, resized (bilinear, whatever its proportions) and with the channels asked for.

    Raises:
      UserError: it cannot be read, is no image, has more than 8 bits a channel, or `image` has
        channels that no file gives.
    """
    from PIL import Image, UnidentifiedImageError

    if image.channels not in _MODES:
        raise UserError(f"the run reads {image.channels} channels; of a file 1 or 3 can be read")
    try:
        # A warning about a damaged tag tells no file; what matters is raised.
        with warnings.catch_warnings(action="ignore"), Image.open(path) as opened:
            if opened.mode.startswith(_DEEP):  # Pillow would clip them at 255
                raise UserError(
                    f"has more than 8 bits a channel (mode {opened.mode}); save it in 8"
                )
            picture = opened.convert(_MODES[image.channels])
    except UserError:
        raise
    except UnidentifiedImageError:
        raise UserError("is no image that Pillow knows") from None
    # A damaged file raises what its reader stumbles over: SyntaxError, struct.error, EOFError ..
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UserError(f"cannot be read ({' '.join(reason.split())})") from None
    size = (image.width, image.height)
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(picture).reshape(image.height, image.width, image.channels)
