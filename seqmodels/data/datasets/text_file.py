"""`text_file`: the user's own UTF-8 files, one path or glob cut by fractions or one per split."""

from __future__ import annotations

import difflib
import glob
import hashlib
import io
import itertools
import re
from pathlib import Path

from seqmodels.config.data import DataConfig
from seqmodels.config.errors import UserError
from seqmodels.data.datasets.dataset import SPLITS, BuiltInDataset, Documents, Splits
from seqmodels.data.datasets.own_files import OwnFiles

_SPACE = re.compile(r"\s")
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class TextFile(BuiltInDataset):
    """Text files; each is a row of the column `text`, kept exactly, line ends included.

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
        how = None if fractions is None else (*fractions, *self.rule())
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


def find_files(field: str, pattern: str) -> list[Path]:
    """Returns the files that a path or a glob matches, in alphabetical order.

    Raises:
      UserError: there is none; names the field and the nearest name that exists.
    """
    if not pattern:
        raise UserError(f"{field}= names no file")
    path = Path(pattern).expanduser()
    if path.is_dir():
        raise UserError(f"{field}={pattern}: is a directory; name a file or a glob: {path}/*.txt")
    if path.exists():
        return [path]
    if not glob.has_magic(pattern):
        raise UserError(f"{field}={pattern}: no such file{_nearest(path)}")
    found = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
    files = [name for name in found if name.is_file()]
    if not files:
        raise UserError(f"{field}={pattern}: no file matches")
    return files


def find_file(field: str, pattern: str) -> Path:
    """Returns the one file that a path or a glob matches; raises UserError if it is not one."""
    files = find_files(field, pattern)
    if len(files) > 1:
        raise UserError(f"{field}={pattern}: matches {len(files)} files; name one")
    return files[0]


def _nearest(path: Path) -> str:
    """Returns a hint: the nearest name in the same directory, or the deepest one that exists."""
    folder = path.parent
    if not folder.is_dir():
        while not folder.is_dir():
            folder = folder.parent
        return f"; the directory {path.parent} does not exist ({folder} does)"
    names = sorted(entry.name for entry in folder.iterdir())
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {str(path.with_name(near[0]))!r}?" if near else f" in {folder}"


def open_or_explain(file: Path) -> io.BufferedReader:
    """Opens a file to read bytes; raises UserError if that fails."""
    try:
        return open(file, "rb")
    except OSError as error:
        raise UserError(f"{file}: cannot read ({error.strerror})") from None


def _read_files(field: str, files: list[Path]) -> list[str]:
    texts = [read_file(file) for file in files]
    if not any(texts):
        what = f"{files[0]}: is empty" if len(files) == 1 else f"all {len(files)} files are empty"
        raise UserError(f"data.{field}: {what}")
    return texts


def read_file(file: Path) -> str:
    """Reads a UTF-8 file; raises UserError if it is not one."""
    with open_or_explain(file) as stream:
        content = stream.read()
    if content.startswith(_UTF16_MARKS):
        how = _conversion("UTF-16")
        raise UserError(f"{file}: not UTF-8 but UTF-16, by its first bytes; {how}")
    line_of = lambda offset: content.count(b"\n", 0, offset) + 1
    nul = content.find(b"\0")
    if nul >= 0:
        where = f"{file}, line {line_of(nul)}"
        raise UserError(f"{where}: binary, not text: NUL byte at offset {nul}")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file}, line {line_of(error.start)}: not UTF-8: byte 0x{content[error.start]:02x} at "
            f"offset {error.start} ({error.reason}); {_conversion('LATIN1')}"
        ) from None


def read_filled(file: Path) -> str:
    """Reads a UTF-8 file; raises UserError if it is not one, or empty."""
    text = read_file(file)
    if not text:
        raise UserError(f"{file}: is empty")
    return text


def _conversion(encoding: str) -> str:
    """Advice on converting a file of another encoding to UTF-8."""
    return f"convert it, for example: iconv -f {encoding} -t UTF-8 FILE > NEW_FILE"
