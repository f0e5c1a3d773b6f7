"""The user's own UTF-8 files: one path or glob split by fraction, or one for each split."""

from __future__ import annotations

import difflib
import glob
import hashlib
import io
import itertools
import re
from pathlib import Path
from typing import Any

from seqmodels.config.data import TextDataConfig, TokenizerKind
from seqmodels.config.errors import UserError
from seqmodels.data.datasets.source import Documents, TextSource

SPLIT_FIELDS = {"train": "train_path", "validation": "validation_path", "test": "test_path"}
_SPACE = re.compile(r"\s")
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class TextFile:
    """Text files; each is one document. Their text is kept exactly, line ends included."""

    @classmethod
    def source(cls, config: TextDataConfig, cache: Path) -> TextSource:
        """Returns the files that `config` names.

        Raises:
          UserError: the fields contradict each other, or a path leads nowhere.
        """
        del cache
        return TextFileSource(config)

    @classmethod
    def prepare(cls, config: TextDataConfig) -> None:
        """Nothing to download."""
        del config


class TextFileSource:
    """The files of a config.

    Raises:
      UserError: the fields contradict each other, or a path leads nowhere.
    """

    def __init__(self, config: TextDataConfig) -> None:
        self._config = config
        paths = {
            "path": config.path,
            "train_path": config.train_path,
            "validation_path": config.validation_path,
            "test_path": config.test_path,
        }
        given = [name for name, path in paths.items() if path is not None]
        if "path" in given and len(given) > 1:
            raise UserError(f"data.path and data.{given[1]}: name the text by one or the other")
        if "path" not in given:
            for name in ("train_path", "validation_path"):
                if name not in given:
                    alternative = "data.path, or " if not given else ""
                    raise UserError(
                        f"data.name={config.name}: {alternative}data.{name} must name a UTF-8 file"
                    )
        _check_fractions(config)
        self._files = {name: find_files(f"data.{name}", str(paths[name])) for name in given}
        self.description = ", ".join(f"{name}={paths[name]}" for name in given)

    def fingerprint(self) -> str:
        how = self.rule() if "path" in self._files else None
        digest = hashlib.sha256(repr(how).encode())
        for name, files in self._files.items():
            for file in files:
                with open_or_explain(file) as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
            digest.update(f"{name} {len(files)}".encode())
        return digest.hexdigest()

    def rule(self) -> tuple[Any, ...]:
        """All that decides, beside the text, how data.path is cut."""
        config = self._config
        how = (config.validation_fraction, config.test_fraction)
        return (*how, "words") if config.tokenizer is TokenizerKind.WORD else how

    def texts(self) -> dict[str, list[str]]:
        """Reads the files of each field that names some."""
        return {name: _read_files(name, files) for name, files in self._files.items()}

    def documents(self) -> Documents:
        texts = self.texts()
        if "path" in texts:
            config = self._config
            fractions = (config.validation_fraction, config.test_fraction)
            whole_words = config.tokenizer is TokenizerKind.WORD
            return _split_by_fraction(texts["path"], *fractions, whole_words=whole_words)
        return {split: texts[name] for split, name in SPLIT_FIELDS.items() if name in texts}


def _check_fractions(config: TextDataConfig) -> None:
    validation, test = config.validation_fraction, config.test_fraction
    for name, value in (("validation_fraction", validation), ("test_fraction", test)):
        if not 0 <= value < 1:
            raise UserError(f"data.{name}={value}: must be at least 0 and less than 1")
    if validation + test >= 1:
        raise UserError(
            f"data.validation_fraction={validation} and data.test_fraction={test}: together they "
            "must be less than 1, or nothing is left to train on"
        )


def _split_by_fraction(
    texts: list[str], validation: float, test: float, *, whole_words: bool
) -> Documents:
    """Cuts the concatenation of the documents by characters; train is first, test last.

    With `whole_words` a cut that would fall into a word falls behind it.
    """
    total = sum(map(len, texts))
    sizes = {"validation": int(total * validation), "test": int(total * test)}
    bounds = [0, total - sizes["validation"] - sizes["test"], total - sizes["test"], total]
    if whole_words:
        bounds = [_behind_word(texts, bound) for bound in bounds]
    splits: Documents = {}
    for split, (first, end) in zip(SPLIT_FIELDS, itertools.pairwise(bounds), strict=True):
        begin, parts = 0, []
        for text in texts:
            parts.append(text[max(0, first - begin) : max(0, end - begin)])
            begin += len(text)
        splits[split] = [part for part in parts if part]
    return {split: parts for split, parts in splits.items() if parts}


def _behind_word(texts: list[str], bound: int) -> int:
    """The first place from `bound` on that is at white space or between two documents."""
    begin = 0
    for text in texts:
        if begin < bound < begin + len(text):
            found = _SPACE.search(text, bound - begin)
            return begin + (found.start() if found else len(text))
        begin += len(text)
    return bound


def find_files(field: str, pattern: str) -> list[Path]:
    """Returns the files that a path or a glob means, in alphabetical order.

    Raises:
      UserError: there is none; names the field and what is near.
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
    """Returns the one file that a path or a glob means; raises UserError where it is not one."""
    files = find_files(field, pattern)
    if len(files) > 1:
        raise UserError(f"{field}={pattern}: matches {len(files)} files; name one")
    return files[0]


def _nearest(path: Path) -> str:
    """Returns a hint at what does exist: the nearest name beside, or the deepest directory."""
    folder = path.parent
    if not folder.is_dir():
        while not folder.is_dir():
            folder = folder.parent
        return f"; the directory {path.parent} does not exist ({folder} does)"
    names = sorted(entry.name for entry in folder.iterdir())
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {str(path.with_name(near[0]))!r}?" if near else f" in {folder}"


def open_or_explain(file: Path) -> io.BufferedReader:
    """Opens a file to read bytes; raises UserError where that fails."""
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
    """Reads a UTF-8 file; raises UserError where it is none."""
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
    """Reads a UTF-8 file; raises UserError where it is none, or empty."""
    text = read_file(file)
    if not text:
        raise UserError(f"{file}: is empty")
    return text


def _conversion(encoding: str) -> str:
    """How to make a file of another encoding UTF-8."""
    return f"convert it, for example: iconv -f {encoding} -t UTF-8 FILE > NEW_FILE"
