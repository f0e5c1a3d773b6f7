"""`tfds_images:NAME`: images and their classes of a TFDS catalog data set.

A set that is small enough is decoded once into arrays, kept in the cache as .npy files; of a larger
one the labels are, and each batch decodes its own images.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import math
from pathlib import Path
from typing import Any

import filelock
import numpy as np
from jaxtyping import Int, UInt8

from seqmodels.config.errors import UserError
from seqmodels.config.images import ImagesDataConfig
from seqmodels.data.datasets import prepared
from seqmodels.data.datasets.image_source import ImageSet
from seqmodels.data.datasets.source import quiet
from seqmodels.data.store import explain_cache_errors
from seqmodels.types import ImageInput

_FORMAT = 1
MAX_ARRAY_BYTES = 4 << 30
"""Of all splits together; more is decoded by batch."""
_log = logging.getLogger(__name__)


class CatalogImages:
    """The one image and the one class of each example. For NAME see `prepared`."""

    @classmethod
    def open(cls, config: ImagesDataConfig, cache: Path) -> ImageSet:
        """Returns the prepared data set that `config` names.

        Raises:
          UserError: it is not prepared (the line says how to), or has no images with classes.
        """
        source = _Source(config)
        key = hashlib.sha256(json.dumps([_FORMAT, source.fingerprint]).encode()).hexdigest()
        where = cache / "images" / key[:32]
        found = _read_entry(where)
        if found is None:
            with explain_cache_errors(cache):
                where.mkdir(parents=True, exist_ok=True)
                with filelock.FileLock(where / ".lock"):
                    found = _read_entry(where)
                    if found is None:
                        _write_entry(where, source)
                        found = _read_entry(where)
            if found is None:
                raise UserError(f"{where}: what was written does not read back; is the disk sound?")
        image, names, arrays = found
        splits: dict[str, Any] = arrays
        if not all(isinstance(split, _Arrays) for split in arrays.values()):
            splits = source.lazy(image, {name: split.labels for name, split in arrays.items()})
        return ImageSet(image, names, splits, source.fingerprint, str(where))

    @classmethod
    def prepare(cls, config: ImagesDataConfig) -> None:
        """Has TFDS download and prepare the data set unless it is there; see `prepared.prepare`."""
        prepared.prepare(config)


@dataclasses.dataclass(frozen=True)
class _Labelled:
    labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class _Arrays(_Labelled):
    images: np.ndarray

    def read(self, at: Int[np.ndarray, " n"]) -> UInt8[np.ndarray, "n H W C"]:
        return np.asarray(self.images[at])


@dataclasses.dataclass(frozen=True)
class _Lazy(_Labelled):
    examples: Any
    source: _Source
    image: ImageInput
    field: str

    def read(self, at: Int[np.ndarray, " n"]) -> UInt8[np.ndarray, "n H W C"]:
        image = self.image
        pixels = np.zeros((len(at), image.height, image.width, image.channels), np.uint8)
        for row, index in enumerate(at.tolist()):
            pixels[row] = self.source.decode(self.examples[index], index, self.field, image)
        return pixels


class _Source:
    """The examples as TFDS has them."""

    def __init__(self, config: ImagesDataConfig) -> None:
        self._set, self._size = prepared.Prepared(config), config.image_size
        self.fingerprint = self._set.fingerprint(["images", self._size])
        self._image = self._label = ""

    def open(self) -> tuple[ImageInput, tuple[str, ...], dict[str, tuple[str, Any]]]:
        """Returns the form of the images, the names of the classes, and the splits' examples."""
        with quiet():
            builder = self._set.open()
            image, names = self._find_features(builder.info.features)
            return image, names, self._set.examples(builder)

    def lazy(self, image: ImageInput, labels: dict[str, np.ndarray]) -> dict[str, _Lazy]:
        """Returns splits that decode what is asked for."""
        _, _, examples = self.open()
        return {
            name: _Lazy(labels[name], found, self, image, field)
            for name, (field, found) in examples.items()
        }

    def _find_features(self, features: Any) -> tuple[ImageInput, tuple[str, ...]]:
        from tensorflow_datasets.core.features import ClassLabel, Image

        found = {}
        for what, kind in (("image", Image), ("class", ClassLabel)):
            names = [name for name, feature in features.items() if isinstance(feature, kind)]
            if len(names) != 1:
                raise UserError(
                    f"data.name: {self._set.name} has no one {what} an example but "
                    f"{', '.join(names) or 'none'}; its features are {', '.join(features)}"
                )
            found[what] = names[0]
        self._image, self._label = found["image"], found["class"]
        height, width, channels = features[self._image].shape
        if self._size is not None:
            height = width = self._size
        if height is None or width is None:
            raise UserError(
                f"data.image_size=none: the images of {self._set.name} differ in size; set it"
            )
        classes = tuple(map(str, features[self._label].names))
        return ImageInput(int(height), int(width), int(channels)), classes

    def label(self, example: Any) -> int:
        """The class of an example."""
        return int(example[self._label])

    def decode(self, example: Any, index: int, field: str, image: ImageInput) -> np.ndarray:
        """Returns [H, W, C] uint8, resized (bilinear, whatever its proportions) where it must be.

        Raises:
          UserError: an image of other channels, or of more than 8 bits.
        """
        pixels = np.asarray(example[self._image])
        wanted = (image.height, image.width, image.channels)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != image.channels:
            raise UserError(
                f"{field}: image {index} of {self._set.name} is {pixels.dtype} "
                f"{' x '.join(map(str, pixels.shape))}, not bytes with {image.channels} channels"
            )
        if pixels.shape == wanted:
            return pixels
        from PIL import Image

        gray = image.channels == 1
        picture = Image.fromarray(pixels[..., 0] if gray else pixels)
        resized = picture.resize((image.width, image.height), Image.Resampling.BILINEAR)
        return np.asarray(resized).reshape(wanted)


def _read_entry(where: Path) -> tuple[ImageInput, tuple[str, ...], dict[str, Any]] | None:
    """Returns None where there is no entry or a damaged one, which it reports."""
    path = where / "entry.json"
    if not path.is_file():
        return None
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        splits: dict[str, Any] = {}
        for name, digests in meta["splits"].items():
            arrays = {}
            for part, digest in digests.items():
                arrays[part] = np.load(where / f"{name}.{part}.npy", mmap_mode="r")
                if _digest(arrays[part]) != digest:
                    raise ValueError(f"{name}.{part}.npy does not match its checksum")
            labels = np.asarray(arrays["labels"])
            splits[name] = (
                _Arrays(labels, arrays["images"]) if "images" in arrays else _Labelled(labels)
            )
        return ImageInput(**meta["image"]), tuple(meta["class_names"]), splits
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        _log.warning("image cache: %s is damaged (%s): decoding again", where, error)
        return None


def _write_entry(where: Path, source: _Source) -> None:
    """Call under the entry's lock. The description comes last: without it there is no entry."""
    (where / "entry.json").unlink(missing_ok=True)
    image, class_names, examples = source.open()
    num_bytes = math.prod(dataclasses.astuple(image)) * sum(len(x) for _, x in examples.values())
    splits: dict[str, dict[str, str]] = {}
    for name, (field, found) in examples.items():
        if not len(found):
            raise UserError(f"{field}: no image there")
        labels = np.zeros(len(found), np.int32)
        images = None
        if num_bytes <= MAX_ARRAY_BYTES:
            images = np.zeros((len(found), *dataclasses.astuple(image)), np.uint8)
        with quiet():
            for index in range(len(found)):
                example = found[index]
                labels[index] = source.label(example)
                if images is not None:
                    images[index] = source.decode(example, index, field, image)
        arrays = {"labels": labels} | ({} if images is None else {"images": images})
        for part, array in arrays.items():
            np.save(where / f"{name}.{part}.npy", array)
        splits[name] = {part: _digest(array) for part, array in arrays.items()}
    meta = {"image": dataclasses.asdict(image), "class_names": class_names, "splits": splits}
    partial = where / "entry.partial"
    partial.write_text(json.dumps(meta, indent=1), encoding="utf-8")
    partial.replace(where / "entry.json")


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
