"""Data sets of published files, which are in data.path or are downloaded."""

from __future__ import annotations

from typing import ClassVar

from seqmodels.config.data import DataConfig
from seqmodels.data.datasets.dataset import BuiltInDataset, Dataset
from seqmodels.data.datasets.origin import Published
from seqmodels.data.store import cache_directory


class PublishedDataset(BuiltInDataset):
    """Published files, read from data.path, $SEQMODELS_DATA_DIR or the cache.

    Class attributes:
      files: the files and where they come from.
    """

    files: ClassVar[Published]

    def __init__(self, config: DataConfig) -> None:
        self._folder = self.files.find(config.path, cache_directory(config))
        self.description = f"{self.files.name} of {self._folder or ', '.join(self.files.urls)}"

    @classmethod
    def open(cls, config: DataConfig) -> Dataset:
        """Returns the data set; raises UserError where data.path lacks its files."""
        return cls(config)

    @classmethod
    def prepare(cls, config: DataConfig) -> None:
        """Downloads the files unless they are there."""
        cls.files.prepare(config.path, cache_directory(config))

    def fingerprint(self) -> str:
        """That of the files alone."""
        return self.files.fingerprint()
