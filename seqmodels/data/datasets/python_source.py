"""The larger built-in corpus: the standard library's own source, as a TFDS data set.

Some 700 files, 11 million characters, of the running Python; another version has another text, so
the name of the builder's config includes a hash of it. A document is a file. Left out are tests,
caches, installed packages, files that differ from machine to machine, copies of other files, empty
files, and `pydoc_data`, which is the corpus `python_docs`.

A hash of a file's name decides whether it is held out, so that a file is in the same split in every
version. Files that share a paragraph with another split, such as a copied function, are trained on
instead, and so is `encodings`, whose tables are all similar.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import sysconfig
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path

from seqmodels.config.data import DataConfig
from seqmodels.config.errors import UserError
from seqmodels.data.datasets.built import BuiltSource, BuiltText, hold_out
from seqmodels.data.datasets.dataset import SPLITS, Documents, hash_documents
from seqmodels.data.store import cache_directory

SKIPPED = (
    "__pycache__",
    "dist-packages",
    "idle_test",
    "pydoc_data",
    "site-packages",
    "test",
    "tests",
)
"""Folders that are left out, along with those called config-.., which hold linker settings."""
ALIKE = ("encodings",)
"""Folders whose files are nearly the same: all are trained on."""
HELD_OUT = 0.08
"""Share of the files that are chosen for each of validation and test."""

_log = logging.getLogger(__name__)


def read_library(root: Path) -> dict[str, str]:
    """Returns the text of each file of a standard library by its path below `root`, sorted.

    A file that cannot be decoded as it says it is encoded is left out, and a warning says so.
    """
    texts: dict[str, str] = {}
    seen = {""}
    for name in sorted(_find_files(root)):
        try:
            content = (root / name).read_bytes()
            encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
            text = content.decode(encoding)
        except (OSError, SyntaxError, UnicodeDecodeError, LookupError) as error:
            _log.warning("python_source: %s is left out: %s", name, error)
            continue
        if text.strip() not in seen:
            seen.add(text.strip())
            texts[name] = text
    return texts


def _find_files(root: Path) -> Iterator[str]:
    """Paths of the files of a standard library below `root`."""
    for folder, inner, files in os.walk(root):
        inner[:] = [n for n in inner if n not in SKIPPED and not n.startswith("config-")]
        for file in files:
            if file.endswith(".py") and not file.startswith("_sysconfigdata"):
                yield (Path(folder) / file).relative_to(root).as_posix()


def split_files(texts: Mapping[str, str]) -> Documents:
    """Assigns files to train, validation and test; see above.

    Returns:
      Documents by split, in the order of the files' names.
    """
    wanted: dict[str, set[str]] = {split: set() for split in SPLITS[1:]}
    for name in texts:
        drawn = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
        place = int(drawn / HELD_OUT)
        if place < len(wanted) and name.partition("/")[0] not in ALIKE:
            wanted[SPLITS[1 + place]].add(name)
    names, _ = hold_out(texts, wanted)
    return {split: [texts[name] for name in kept] for split, kept in names.items()}


class PythonSource(BuiltText):
    """One example per file, in the order of the files' names. Column: text."""

    about = "The source of the standard library that CPython carries."
    unit = "files"

    @classmethod
    def open(cls, config: DataConfig) -> BuiltSource:
        """Returns the corpus of the running Python, prepared in the cache.

        Raises:
          UserError: this Python has no source files.
        """
        root = Path(sysconfig.get_path("stdlib"))
        texts = read_library(root)
        if not texts:
            raise UserError(f"data.name=python_source: {root} holds no .py files")
        # Of the files and not of the splits, which take longer to find: every start computes it.
        rule = {"rule": [str(HELD_OUT), *ALIKE]}
        key = hash_documents(rule | {name: [text] for name, text in texts.items()})
        split = lambda: split_files(texts)
        data_dir = cache_directory(config) / "tfds"
        is_right = lambda found: found == split()
        return BuiltSource(cls, key, split, is_right, f"the files of {root}", data_dir)

    @classmethod
    def prepare(cls, config: DataConfig) -> None:
        """Does nothing: there is nothing to download."""
        del config
