"""What every data set of images offers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, UInt8

from seqmodels.config.images import ImagesDataConfig
from seqmodels.types import ImageInput


@runtime_checkable
class ImageSplit(Protocol):
    """Images that can be read in any order.

    Attributes:
      labels: class of each, int32 [N].
    """

    @property
    def labels(self) -> np.ndarray: ...

    def read(self, at: Int[np.ndarray, " n"]) -> UInt8[np.ndarray, "n H W C"]:
        """Returns the images of these numbers, all of one size."""
        ...


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """A data set that is open.

    Attributes:
      image: size and channels.
      class_names: of the classes 0, 1, ..
      splits: `train`, and `validation` and `test` where the data set has them.
      fingerprint: a hash of all that decides images and labels.
      where: what was read, for a person.
    """

    image: ImageInput
    class_names: tuple[str, ...]
    splits: dict[str, Any]
    fingerprint: str
    where: str


@runtime_checkable
class ImageDataset(Protocol):
    """A class of the registry's DATASETS."""

    @classmethod
    def open(cls, config: ImagesDataConfig, cache: Path) -> ImageSet:
        """Returns the data set that `config` names; `cache` is a directory for what it makes."""
        ...

    @classmethod
    def prepare(cls, config: ImagesDataConfig) -> None:
        """Downloads what is missing, where the data set can."""
        ...
