"""Images with classes, in batches."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.images import ImagesDataConfig
from seqmodels.data.common import cache_directory, dataset_class, get_split, make_task
from seqmodels.data.datasets.image_source import ImageSplit
from seqmodels.data.examples import ExampleRows, Examples, ExampleSource
from seqmodels.data.labels import Labels, normalize, read_labels
from seqmodels.data.sources import BatchSource
from seqmodels.types import Batch, DataSpec, ImageInput


class ImageExamples(Examples):
    """The images of a split; all are of one size, so there is one group.

    Args:
      split: what is read.
      image: its form.
    """

    def __init__(self, split: ImageSplit, image: ImageInput) -> None:
        self._split, self._shape = split, (image.height, image.width, image.channels)
        self.groups = [np.arange(len(split.labels))]

    def shape(self, group: int) -> tuple[int, ...]:
        """Height, width, channels."""
        del group
        return self._shape

    def make(self, chosen: np.ndarray, group: int) -> Batch:
        """Inputs [b, H, W, C], targets [b] and loss_weights [b]."""
        del group
        real = chosen >= 0
        images = np.zeros((len(chosen), *self._shape), np.float32)
        images[real] = normalize(self._split.read(chosen[real]))
        targets = np.where(real, self._split.labels[np.maximum(chosen, 0)], 0).astype(np.int32)
        return Batch(images, targets, real.astype(np.float32))


@dataclasses.dataclass(frozen=True)
class ImageData:
    """Images of one data set; see `common.Data`.

    Attributes:
      encoding: the form of the images and the names of the classes.
      splits: an `ImageSplit` each.
    """

    spec: DataSpec
    encoding: Labels
    fingerprint: str
    splits: dict[str, Any]
    where: str
    notes: list[str]

    encoding_file = "labels.json"

    @classmethod
    def load(cls, config: ExperimentConfig, encoding: Labels | None) -> ImageData:
        """Opens the data of an experiment.

        Args:
          config: of the experiment; its data section is read.
          encoding: of a run, which the data must have.

        Raises:
          UserError: names the field or file at fault.
        """
        found = dataset_class(config.data).open(config.data, cache_directory(config.data))
        own = Labels(found.image, found.class_names)
        if encoding is not None and encoding != own:
            raise UserError(
                f"data.name={config.data.name}: {_describe(own)}; the run was trained on "
                f"{_describe(encoding)}"
            )
        spec = make_task(config).make_spec(own)
        return cls(spec, own, found.fingerprint, found.splits, found.where, [])

    @classmethod
    def read_encoding(cls, path: Path) -> Labels:
        """Reads what a run kept."""
        return read_labels(path)

    @classmethod
    def prepare(cls, data: ImagesDataConfig) -> None:
        """Downloads what is missing, where the data set can."""
        dataset_class(data).prepare(data)

    def batches(self, config: ExperimentConfig, split: str = "train") -> BatchSource:
        """Returns the batches of a split: every image once an epoch, in a new order.

        Raises:
          UserError: the split is smaller than a batch.
        """
        seed = config.training.seed
        source = ExampleSource(self._examples(split), config.data.batch_size, seed, split)
        return make_task(config).make_source(source, self.encoding, seed)

    def rows(self, split: str, batch_size: int) -> ExampleRows:
        """Returns every image of a split once, for evaluation."""
        return ExampleRows(self._examples(split), batch_size)

    def _examples(self, split: str) -> ImageExamples:
        return ImageExamples(get_split(self.splits, split), self.encoding.image)

    def description(self) -> dict[str, Any]:
        """The fingerprint and the sizes: what a run keeps of the data it was trained on."""
        return {
            "fingerprint": self.fingerprint,
            "image": dataclasses.asdict(self.encoding.image),
            "num_classes": len(self.encoding.names),
            "splits": {name: {"images": len(split.labels)} for name, split in self.splits.items()},
        }

    def summary(self) -> str:
        """The encoding in a few words."""
        return _describe(self.encoding)


def _describe(labels: Labels) -> str:
    image = labels.image
    size = f"{image.height} x {image.width} x {image.channels}"
    return f"images of {size}, {len(labels.names)} classes"
