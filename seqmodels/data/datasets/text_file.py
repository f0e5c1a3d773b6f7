"""`text_file`: the user's own UTF-8 files, one path or glob cut by fractions or one per split."""

from __future__ import annotations

import hashlib
import itertools
import re
from pathlib import Path

from seqmodels.config.data import DataConfig
from seqmodels.config.errors import UserError
from seqmodels.data.datasets.dataset import SPLITS, BuiltInDataset, Documents, Splits
from seqmodels.data.datasets.own_files import OwnFiles
from seqmodels.files import find_files, open_or_explain, read_file

_SPACE = re.compile(r"\s")


class TextFile(BuiltInDataset):
    """Text files; each is a row of the column `text`, kept exactly, line ends included,
    but for a byte order mark.

    Raises:
      UserError: the fields contradict each other, or a path leads nowhere.
    """

    def __init__(self, config: DataConfig) -> None:
        self._own = OwnFiles.of(config, "a UTF-8 file")
        self._whole_words = config.whole_words()
        self._files = {
            field: find_files(f"data.{field}", path) for field, path in self._own.paths.items()
        }
        self.description = ", ".join(f"{field}={path}" for field, path in self._own.paths.items())

    @classmethod
    def open(cls, config: DataConfig) -> TextFile:
        return cls(config)

    def fingerprint(self) -> str:
        fractions = self._own.fractions
        how = (2, None if fractions is None else (*fractions, *self.rule()))
        digest = hashlib.sha256(repr(how).encode())
        for field, files in self._files.items():
            for file in files:
                with open_or_explain(file) as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
            digest.update(f"{field} {len(files)}".encode())
        return digest.hexdigest()

    def rule(self) -> tuple[str, ...]:
        """All that decides, apart from the text and the fractions, how text is cut."""
        return ("words",) if self._whole_words else ()

    def splits(self) -> Splits:
        return {split: {"text": texts} for split, texts in self.documents().items()}

    def documents(self) -> Documents:
        """Returns the texts of each split."""
        return self._own.arrange(self.texts(), self._cut)

    def texts(self) -> dict[str, list[str]]:
        """Reads the files of each field that names some."""
        return {field: _read_files(field, files) for field, files in self._files.items()}

    def _cut(self, texts: list[str], validation: float, test: float) -> Documents:
        return _split_by_fraction(texts, validation, test, whole_words=self._whole_words)


def _split_by_fraction(
    texts: list[str], validation: float, test: float, *, whole_words: bool
) -> Documents:
    """Cuts the concatenation of the documents by characters; train is first, test last.

    With `whole_words` a cut that would fall into a word falls after it.
    """
    total = sum(map(len, texts))
    sizes = {"validation": int(total * validation), "test": int(total * test)}
    bounds = [0, total - sizes["validation"] - sizes["test"], total - sizes["test"], total]
    if whole_words:
        bounds = [_after_word(texts, bound) for bound in bounds]
    splits: Documents = {}
    for split, (first, end) in zip(SPLITS, itertools.pairwise(bounds), strict=True):
        begin, parts = 0, []
        for text in texts:
            parts.append(text[max(0, first - begin) : max(0, end - begin)])
            begin += len(text)
        splits[split] = [part for part in parts if part]
    return {split: parts for split, parts in splits.items() if parts}


def _after_word(texts: list[str], bound: int) -> int:
    """The first position from `bound` on that is at white space or between two documents."""
    begin = 0
    for text in texts:
        if begin < bound < begin + len(text):
            found = _SPACE.search(text, bound - begin)
            return begin + (found.start() if found else len(text))
        begin += len(text)
    return bound


def _read_files(field: str, files: list[Path]) -> list[str]:
    texts = [read_file(file) for file in files]
    if not any(texts):
        what = f"{files[0]}: is empty" if len(files) == 1 else f"all {len(files)} files are empty"
        raise UserError(f"data.{field}: {what}")
    return texts
