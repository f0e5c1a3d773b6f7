"""What every text data set offers to the token store."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from seqmodels.config.data import TextDataConfig

Documents = dict[str, list[str]]
"""Split name to its documents, in order; the text of a split is their concatenation."""


@runtime_checkable
class TextSource(Protocol):
    """A data set that can be read. Each class of the registry's DATASETS makes one by `source`.

    Attributes:
      description: what and where, for a person.
    """

    description: str

    def fingerprint(self) -> str:
        """Returns a hash of all that decides `documents()`; cheap: every start asks."""
        ...

    def documents(self) -> Documents:
        """Reads the text. Raises UserError where the user can mend what is wrong."""
        ...


@runtime_checkable
class TextDataset(Protocol):
    """A class of the registry's DATASETS."""

    @classmethod
    def source(cls, config: TextDataConfig, cache: Path) -> TextSource:
        """Returns the data set that `config` names; `cache` is a directory for what it prepares."""
        ...

    @classmethod
    def prepare(cls, config: TextDataConfig) -> None:
        """Downloads what is missing, where the data set can."""
        ...


def hash_documents(documents: Documents) -> str:
    """Returns a hash of the documents, their order and their splits."""
    digest = hashlib.sha256()
    for split, texts in documents.items():
        digest.update(f"{split} {len(texts)}\n".encode())
        for text in texts:
            encoded = text.encode("utf-8", "surrogatepass")
            digest.update(f"{len(encoded)}\n".encode() + encoded)
    return digest.hexdigest()


def share(text: str) -> float:
    """A number from 0 up to, but not, 1 that the text decides: what it is dealt out by."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences TFDS: its warnings about the ordinary, its bars, and its reports on stdout."""
    import tensorflow_datasets as tfds

    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
