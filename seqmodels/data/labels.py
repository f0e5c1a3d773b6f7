"""What maps between images with their classes and numbers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from seqmodels.config.errors import UserError
from seqmodels.data.tokenizers import SavedTokenizer
from seqmodels.types import Batch, ImageInput

MEAN, DEVIATION = 0.5, 0.5
"""Of what ViT was published with: pixels in [-1, 1]."""
_SHADES = " .:-=+*#%@"
_MOST_COLUMNS = 48


@dataclasses.dataclass(frozen=True)
class Labels(SavedTokenizer):
    """The form of the images and the names of their classes.

    Attributes:
      image: what a model reads.
      names: of the classes 0, 1, ..
    """

    image: ImageInput
    names: tuple[str, ...]
    kind = "labels"

    @property
    def inputs(self) -> ImageInput:
        """What a model reads."""
        return self.image

    def show(self, batch: Batch, row: int) -> str:
        """An example, drawn with characters."""
        return render(batch.inputs[row])

    def to_json(self) -> dict[str, Any]:
        """Returns what `read_labels` reads back."""
        return {
            "kind": self.kind,
            "image": dataclasses.asdict(self.image),
            "names": list(self.names),
        }


def read_labels(path: Path) -> Labels:
    """Reads what `Labels.save` wrote.

    Raises:
      UserError: the file is missing or damaged.
    """
    try:
        match json.loads(path.read_text(encoding="utf-8")):
            case {"kind": "labels", "image": dict(image), "names": list(names)}:
                return Labels(ImageInput(**image), tuple(map(str, names)))
    except OSError as error:
        raise UserError(f"{path}: cannot read the labels ({error.strerror})") from None
    except (ValueError, TypeError):
        pass
    raise UserError(f"{path}: not a file of labels")


def normalize(pixels: UInt8[np.ndarray, "b H W C"]) -> Float[np.ndarray, "b H W C"]:
    """Bytes as float32: (x / 255 - mean) / deviation."""
    return ((pixels.astype(np.float32) / 255.0) - MEAN) / DEVIATION


def render(image: Float[np.ndarray, "H W C"]) -> str:
    """An image of normalized values as characters, dark to bright; small enough for a terminal."""
    gray = np.clip(image.mean(axis=-1) * DEVIATION + MEAN, 0.0, 1.0)
    height, width = gray.shape
    columns = min(width, _MOST_COLUMNS)
    rows = max(1, round(columns * height / width / 2))  # a character is twice as high as wide
    down, right = np.arange(rows) * height // rows, np.arange(columns) * width // columns
    shades = np.rint(gray[down[:, None], right[None]] * (len(_SHADES) - 1)).astype(int)
    return "\n".join("".join(_SHADES[shade] for shade in line) for line in shades)
