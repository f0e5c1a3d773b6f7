"""Local texts as TFDS data sets in array_record form: no TensorFlow, no network."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import filelock
import tensorflow_datasets as tfds

from seqmodels.data.datasets.dataset import (
    SPLITS,
    BuiltInDataset,
    Documents,
    Splits,
    hash_documents,
)
from seqmodels.data.datasets.prepared import quiet

MIN_PARAGRAPH = 60
"""Characters from which a paragraph is so long that sharing it between splits is a leak."""


class BuiltText(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """One example per document, in order.

    Args:
      documents: its content.
      key: a hash of them, which is part of the config's name: they may change from one Python to
        the next. None = `hash_documents`.

    Attributes:
      about: a line that describes it.
      unit: a word for its documents.
    """

    VERSION = tfds.core.Version("1.0.0")
    about: ClassVar[str] = ""
    unit: ClassVar[str] = "documents"

    def __init__(self, *, documents: Documents, key: str | None = None, **kwargs: Any) -> None:
        self._documents = documents
        name = f"{self.unit}_{(key or hash_documents(documents))[:16]}"
        kwargs["config"] = tfds.core.BuilderConfig(name=name, description=self.about)
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.about,
            features=tfds.features.FeaturesDict({"text": tfds.features.Text()}),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, Any]]]:
        del dl_manager
        return {split: self._generate_examples(split) for split in self._documents}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, str]]]:
        for index, text in enumerate(self._documents[split]):
            yield index, {"text": text}


class BuiltSource(BuiltInDataset):
    """Documents as the column `text`, built as a TFDS data set once, and again where it is damaged.

    Args:
      builder: of the TFDS data set.
      key: its fingerprint.
      make: returns the documents to build it from.
      is_right: whether documents that were read back are the same.
      description: what and where, for a person.
      data_dir: directory of prepared data sets.
    """

    def __init__(
        self,
        builder: type[BuiltText],
        key: str,
        make: Callable[[], Documents],
        is_right: Callable[[Documents], bool],
        description: str,
        data_dir: Path,
    ) -> None:
        self._builder, self._key, self._make, self._is_right = builder, key, make, is_right
        self.description, self._data_dir = description, data_dir

    def fingerprint(self) -> str:
        """Returns the key."""
        return self._key

    def splits(self) -> Splits:
        """Returns the documents of each split."""
        return {split: {"text": texts} for split, texts in self.documents().items()}

    def documents(self) -> Documents:
        """Returns the documents, building the data set first where it is missing or damaged."""
        self._data_dir.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self._data_dir / f"{self._builder.name}.lock"):
            # Whatever TFDS raises for a damaged file: the text is here to be written again.
            with contextlib.suppress(Exception):
                found = self._read()
                if self._is_right(found):
                    return found
            documents = self._make()
            with quiet():
                # A builder that saw the damaged data set would keep what it saw.
                shutil.rmtree(self._open(documents).data_path, ignore_errors=True)
                builder = self._open(documents)
                download = tfds.download.DownloadConfig(try_download_gcs=False)
                builder.download_and_prepare(file_format="array_record", download_config=download)
            return self._read()

    def _open(self, documents: Documents) -> Any:
        return self._builder(documents=documents, key=self._key, data_dir=str(self._data_dir))

    def _read(self) -> Documents:
        with quiet():
            builder = self._open({})
            splits = [split for split in SPLITS if split in builder.info.splits]
            sources = {split: builder.as_data_source(split=split) for split in splits}
            return {
                split: [example["text"].decode() for example in source]
                for split, source in sources.items()
            }


def paragraphs(text: str) -> set[str]:
    """Returns the paragraphs of at least MIN_PARAGRAPH characters, white space normalised."""
    normalised = (" ".join(part.split()) for part in re.split(r"\n[ \t]*\n", text))
    return {part for part in normalised if len(part) >= MIN_PARAGRAPH}


def hold_out(
    texts: Mapping[str, str], wanted: Mapping[str, set[str]]
) -> tuple[dict[str, list[str]], list[str]]:
    """Assigns whole texts to train, validation and test.

    A text that is to be held out but shares a paragraph with another split is trained on instead.

    Args:
      texts: by name.
      wanted: names to hold out, by split.

    Returns:
      The names of each split, sorted, and those that were to be held out and are not.
    """
    names = {split: sorted(wanted.get(split, set()) & texts.keys()) for split in SPLITS[1:]}
    names = {"train": sorted(texts.keys() - {n for held in names.values() for n in held}), **names}
    content = {name: paragraphs(text) for name, text in texts.items()}
    moved: list[str] = []
    while True:
        seen = {split: set().union(*(content[n] for n in names[split])) for split in SPLITS}
        leaks = [
            name
            for split in SPLITS[1:]
            for name in names[split]
            if any(not content[name].isdisjoint(seen[s]) for s in SPLITS if s != split)
        ]
        if not leaks:
            return names, moved
        moved += leaks
        names = {split: [n for n in names[split] if n not in leaks] for split in SPLITS}
        names["train"] = sorted([*names["train"], *leaks])
