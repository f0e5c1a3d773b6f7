"""Pictures of images with their captions."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

MOST_DRAWN = 12
_COLUMNS = 4
_WIDTH = 30
"""Characters of a line of a caption."""


def draw_captions(
    images: Sequence[UInt8[np.ndarray, "H W C"]], captions: Sequence[Mapping[str, str]]
) -> Any:
    """Images in a grid, the true caption of each above the predicted one: green where they are
    equal, else red.

    Args:
      captions: true and predicted, of each image.
    """
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(images))
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(2.9 * columns, 3.5 * rows))
    figure.set_layout_engine("constrained", h_pad=0.12)
    figure.subplots(rows, columns, squeeze=False)
    for axes in figure.axes[len(images) :]:
        axes.set_axis_off()
    for place, image, caption in zip(range(len(images)), images, captions, strict=True):
        axes = figure.axes[place]
        axes.set(xticks=[], yticks=[])
        gray = image.shape[-1] == 1
        axes.imshow(image[..., 0] if gray else image, cmap="gray", vmin=0, vmax=255)
        true, said = (_wrap(caption[name]) for name in ("true", "predicted"))
        color = "darkgreen" if caption["true"] == caption["predicted"] else "firebrick"
        axes.set_title(true, fontsize=9, parse_math=False)
        axes.set_xlabel(said, fontsize=9, color=color, parse_math=False)
    return figure


def _wrap(text: str) -> str:
    return textwrap.fill(text, _WIDTH, max_lines=4, placeholder=" ..") or "(nothing)"
