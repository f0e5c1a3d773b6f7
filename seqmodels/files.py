"""Files: the user's own, found by path or glob, read as UTF-8 text and cut into lines; those that
commands write.

All text passes through here, so that there is one answer to what a byte order mark is and where a
line ends.
"""

from __future__ import annotations

import contextlib
import difflib
import glob
import io
import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from seqmodels.config.errors import UserError

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_BYTE_ORDER_MARK = "\ufeff"


def cache_directory() -> Path:
    """Returns $SEQMODELS_CACHE_DIR, else ~/.cache/seqmodels."""
    named = os.environ.get("SEQMODELS_CACHE_DIR")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "seqmodels"


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


def find_file_of(field: str, pattern: str, endings: tuple[str, ...]) -> Path:
    """The same; raises UserError too if its name has none of the endings."""
    file = find_file(field, pattern)
    if file.suffix.lower() not in endings:
        raise UserError(f"{field}={pattern}: must end with {' or '.join(endings)}")
    return file


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


def read_file(file: Path) -> str:
    """Reads a UTF-8 file, without a byte order mark; raises UserError if it is not one."""
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
        return drop_mark(content.decode("utf-8"))
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


def read_lines(file: Path) -> list[str]:
    """Reads the lines of a UTF-8 file, see `split_lines`; raises UserError if it is not one."""
    return split_lines(read_file(file))


def read_filled_lines(file: Path) -> list[str]:
    """Reads the lines of a UTF-8 file, each of which holds a text.

    Raises:
      UserError: names the file and the line that is empty or not text.
    """
    lines = split_lines(read_filled(file))
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise UserError(f"{file}, line {number}: is empty; every line needs a text")
    return lines


def split_lines(text: str) -> list[str]:
    """Returns the lines of a text, without their ends.

    A line ends with a line feed, or with a carriage return and a line feed. Every other character
    is part of its line: a carriage return by itself, a form feed, U+0085, U+2028. (`str.splitlines`
    ends lines at all of these, so that the number of a line is not that of other programs.) After
    the last line feed there is no further line.
    """
    if not text:
        return []
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def drop_mark(text: str) -> str:
    """Returns the beginning of a file without its byte order mark, which is not text (Unicode
    23.8)."""
    return text.removeprefix(_BYTE_ORDER_MARK)


def _conversion(encoding: str) -> str:
    """Advice on converting a file of another encoding to UTF-8."""
    return f"convert it, for example: iconv -f {encoding} -t UTF-8 FILE > NEW_FILE"


def read_json(file: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
      UserError: the file is missing, is not JSON or does not hold an object.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: damaged: not JSON: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{file}: damaged: must hold an object, not {values!r:.40}")
    return values


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a name next to `path`, for a file that replaces `path` once it is complete and synced.

    Readers see the old file or the new one. Of several processes that write the same file at once,
    each writes its own, and the last one stays.
    """
    partial = path.with_name(f".{os.getpid()}.{path.name}")  # keeps the suffix, for image writers
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def claim_number(folder: Path, stem: str, suffixes: tuple[str, ...]) -> Path:
    """Creates `<stem>-<number><suffix>`, empty, with the first suffix and the lowest free number.

    Processes that ask at once get different numbers.

    Args:
      suffixes: of all files of that number; it is free if none of them exists.
    """
    for number in itertools.count(1):
        name = f"{stem}-{number}"
        if any((folder / f"{name}{suffix}").exists() for suffix in suffixes):
            continue
        with contextlib.suppress(FileExistsError):  # another process was faster
            (folder / f"{name}{suffixes[0]}").open("x").close()
            return folder / f"{name}{suffixes[0]}"
    raise AssertionError  # count does not end


def save_figure(figure: Any, path: Path) -> Path:
    """Writes a figure of matplotlib as `write_picture` does."""
    return write_picture(path, lambda to: figure.savefig(to, dpi=150))


def write_picture(path: Path, save: Callable[[Any], Any]) -> Path:
    """Writes a picture whole or not at all, creating its folder if needed; returns the path.

    Args:
      save: called with the file to write to.

    Raises:
      UserError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            save(partial)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    return path
