"""The user's own image files."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from seqmodels.config.errors import UserError
from seqmodels.files import open_or_explain
from seqmodels.types import ImageInput

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
"""What is taken for an image in a folder."""
_MODES = {1: "L", 3: "RGB"}
"""Channels -> Pillow's mode."""
_16_BITS_AS_INTEGERS = ("PPM", "PNG")
"""Formats that Pillow opens in mode I where they have up to 16 bits, scaled to all of these."""
_WHITE = 255


@dataclasses.dataclass(frozen=True)
class ImageFiles:
    """Images of any size that are decoded, in color, when they are read.

    Attributes:
      paths: a file per row.
      places: where each is named, for messages; empty where the path says all.
    """

    paths: tuple[Path, ...]
    places: tuple[str, ...] = ()
    is_generated = False

    @property
    def shape(self) -> tuple[None, None, int]:
        return (None, None, 3)

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, at: Int[np.ndarray, " n"]) -> list[UInt8[np.ndarray, "H W C"]]:
        """Returns the images of these rows; raises UserError where a file is not an image."""
        return [self._read_file(row) for row in at.tolist()]

    def _read_file(self, row: int) -> UInt8[np.ndarray, "H W C"]:
        try:
            return read_pixels(self.paths[row], 3)
        except UserError as error:
            place = f"{self.places[row]}: " if self.places else ""
            raise UserError(f"{place}{self.paths[row]}: {error}") from None

    def digest(self) -> str:
        """A hash of the files' content, in their order; a file of several rows is read once."""
        known = {path: digest_of(path) for path in dict.fromkeys(self.paths)}
        return hashlib.sha256(" ".join(known[path] for path in self.paths).encode()).hexdigest()


def digest_of(file: Path) -> str:
    """A hash of a file's content; raises UserError where it cannot be read."""
    with open_or_explain(file) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_image(
    path: Path, image: ImageInput, resampling: str = "bilinear"
) -> UInt8[np.ndarray, "H W C"]:
    """Reads an image, resized and with the channels asked for.

    Raises:
      UserError: see `read_pixels`.
    """
    return resize(read_pixels(path, image.channels), image.height, image.width, resampling)


def read_pixels(source: Path | BytesIO, channels: int) -> UInt8[np.ndarray, "h w C"]:
    """Reads an image at its own size, upright, with the channels asked for.

    The orientation that a camera noted in it (EXIF) is applied. What is transparent is laid on
    white, as browsers show it on an empty page. Gray of 16 bits is scaled to 8: round(x / 257).

    Args:
      source: a file, or its content.
      channels: 1 for gray, 3 for colors.

    Raises:
      UserError: it cannot be read, is not an image, has values that are neither of 8 nor of
        16 bits, or no file gives that many channels. The message does not name the file.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if channels not in _MODES:
        raise UserError(f"the run reads {channels} channels; image files have 1 or 3")
    try:
        with contextlib.ExitStack() as stack:
            # A warning about a damaged tag does not name the file; what matters is raised.
            stack.enter_context(warnings.catch_warnings(action="ignore"))
            # Not by its path: Pillow 13 maps a TIFF into memory with its sides already exchanged.
            content = source if isinstance(source, BytesIO) else source.open("rb")
            opened = Image.open(stack.enter_context(content))
            upright = ImageOps.exif_transpose(opened)
            picture = _to_bytes(upright, opened.format).convert(_MODES[channels])
    except UserError:
        raise
    except UnidentifiedImageError:
        raise UserError("is not an image that Pillow knows") from None
    # A damaged file raises what its reader stumbles over: SyntaxError, struct.error, EOFError ..
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UserError(f"cannot be read ({' '.join(reason.split())})") from None
    return np.asarray(picture).reshape(picture.height, picture.width, channels)


def _to_bytes(image: Any, file_format: str | None) -> Any:
    """An opaque image with 8 bits per channel; `convert` would clip deep and uncover transparent
    pixels.

    Raises:
      UserError: its values have no largest one that would be white.
    """
    from PIL import Image

    if image.mode.startswith("I;16") or (image.mode == "I" and file_format in _16_BITS_AS_INTEGERS):
        values = np.asarray(image).astype(np.int64)
        # PNG (third edition), 13.12: floor(input * 255 / 65535 + 1 / 2).
        pixels = ((values * 255 + 32767) // 65535).astype(np.uint8)
        if "transparency" in image.info:
            pixels[values == image.info["transparency"]] = _WHITE
        return Image.fromarray(pixels)
    if image.mode.startswith(("I", "F")):
        raise UserError(
            f"has values of 32 bits (mode {image.mode}), of which none is known to be white; save "
            "it in 8 or 16 bits"
        )
    if not image.has_transparency_data:
        return image
    opaque = Image.new("RGBA", image.size, (_WHITE,) * 4)
    opaque.alpha_composite(image.convert("RGBA"))
    return opaque


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
