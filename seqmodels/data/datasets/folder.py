"""`folder`: the user's own images or sounds, in one subfolder per class."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from seqmodels.config.data import DataConfig
from seqmodels.config.errors import UserError
from seqmodels.data import image_file, sound_file
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits
from seqmodels.data.datasets.own_files import OwnFiles, deal_rows
from seqmodels.data.image_file import ImageFiles, digest_of

SUFFIXES = {"image": image_file.SUFFIXES, "sound": sound_file.SUFFIXES}
"""Endings of the files of a column."""


class Folder(BuiltInDataset):
    """Image files DIR/CLASS/NAME.png, or sounds NAME.wav, of one folder, or of a folder per split.

    Columns: image or sound, whichever is asked for, and label. The classes are the subfolders of
    the training files, in alphabetical order. One folder is assigned to splits by a hash of the
    files' content, so that copies of a file are in one split.

    Raises:
      UserError: the fields contradict each other, or a folder or a class has no such file.
    """

    def __init__(self, config: DataConfig) -> None:
        self._column = "sound" if "sound" in config.columns().values() else "image"
        what = f"a folder with one subfolder of {self._column}s per class"
        self._own = OwnFiles.of(config, what, needs_validation=True)
        self._files = {
            field: _find_files(f"data.{field}", path, self._column)
            for field, path in self._own.paths.items()
        }
        self.description = ", ".join(self._own.paths.values())

    @classmethod
    def open(cls, config: DataConfig) -> Folder:
        return cls(config)

    @functools.cached_property
    def _digests(self) -> dict[str, list[str]]:
        """Hashes of the files' content, by config field."""
        return {field: list(map(digest_of, files)) for field, files in self._files.items()}

    def fingerprint(self) -> str:
        digest = hashlib.sha256(repr((self._own.fractions, 2)).encode())
        for field, files in self._files.items():
            for file, content in zip(files, self._digests[field], strict=True):
                digest.update(f"{field} {file.parent.name}/{file.name} {content}\n".encode())
        return digest.hexdigest()

    def splits(self) -> Splits:
        is_sound = self._column == "sound"
        return {
            split: {
                self._column: files if is_sound else ImageFiles(tuple(files)),
                "label": [file.parent.name for file in files],
            }
            for split, files in self._arrange().items()
        }

    def classes(self, column: str) -> tuple[str, ...] | None:
        files = self._files[self._own.train_field]
        return tuple(sorted({file.parent.name for file in files})) if column == "label" else None

    def locate(self, split: str, row: int) -> str:
        return str(self._arrange()[split][row])

    def _arrange(self) -> dict[str, list[Path]]:
        """The files of each split."""

        def cut(files: list[Path], validation: float, test: float) -> dict[str, list[Path]]:
            dealt = deal_rows(self._digests[self._own.train_field], validation, test)
            return {split: [files[row] for row in rows] for split, rows in dealt.items()}

        return self._own.arrange(self._files, cut)


def _find_files(field: str, path: str, what: str) -> list[Path]:
    """Returns the images or sounds of the subfolders, sorted by class and name."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise UserError(f"{field}={path}: is not a folder")
    classes = sorted(sub for sub in folder.iterdir() if sub.is_dir() and sub.name[0] != ".")
    if not classes:
        raise UserError(f"{field}={path}: has no subfolder; it must have one of {what}s per class")
    found = []
    for sub in classes:
        files = sorted(file for file in sub.iterdir() if _has_ending(file, SUFFIXES[what]))
        if not files:
            raise UserError(f"{sub}: has no {what} ({', '.join(SUFFIXES[what])})")
        found += files
    return found


def _has_ending(file: Path, suffixes: tuple[str, ...]) -> bool:
    return file.suffix.lower() in suffixes and file.name[0] != "." and file.is_file()
