"""Typed settings of images that have a class each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

from seqmodels.config.data import DataConfig


@dataclasses.dataclass
class ImagesDataConfig(DataConfig):
    """Images, each of one class. Pixels become (x / 255 - 0.5) / 0.5, ViT's own preprocessing.

    Attributes:
      name: `shapes` (made up) or `tfds_images:NAME`.
      image_size: height and width that images are resized to; none = as they are stored (shapes:
        32).
      tfds_data_dir: where `tfds_images:NAME` is prepared; none = as for text.
      train_split, validation_split, test_split: `tfds_images:NAME`: TFDS split expressions;
        test_split may be none.
    """

    kind: ClassVar[str] = "images"
    name: str = "shapes"
    image_size: int | None = None
    tfds_data_dir: str | None = None
    train_split: str = "train[:90%]"
    validation_split: str = "train[90%:]"
    test_split: str | None = "test"

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.name in ("tfds_images", "tfds_images:"):
            yield "name", "must name a data set: tfds_images:NAME"
        if self.name == "shapes" and self.image_size is not None and self.image_size < 8:
            yield "image_size", "must be 8 or more with data.name=shapes"
