"""Files that others published: from a folder, or downloaded once from where they are."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import filelock

from seqmodels.config.errors import UserError
from seqmodels.data.datasets.fetch import FAILURES, fetch
from seqmodels.data.store import explain_cache_errors

_FAILURES = (
    *FAILURES,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
)
"""What a connection and an archive may raise."""
_MAX_UNPACKED = 1 << 28
"""Bytes of an archive that are unpacked: a download of some megabytes may hold a terabyte."""


def sha256(content: bytes) -> str:
    """The usual digest of a content."""
    return hashlib.sha256(content).hexdigest()


@dataclasses.dataclass(frozen=True)
class Published:
    """A data set of a few files.

    Attributes:
      name: of the data set.
      files: of each file its bytes and its sha256, decompressed.
      urls: a folder or an archive (.tar.gz, .zip) each; the first that gives the published files is
        used.
      ending: what a file's name ends with in a folder of the web: .gz or nothing.
      others: what reads files that are not the published ones, where something does.
      folder: where the files are below $SEQMODELS_DATA_DIR/data; the name where it is empty.
      zipped: the name of a file inside a .zip archive.
      digest: of a content; where it is not sha256, the bytes of `files` are only a bound.
    """

    name: str
    files: Mapping[str, tuple[int, str]]
    urls: tuple[str, ...]
    ending: str = ""
    others: str = ""
    folder: str = ""
    zipped: Callable[[str], str] = str
    digest: Callable[[bytes], str] = sha256

    def only(self, names: Iterable[str]) -> Published:
        """Those of the files."""
        return dataclasses.replace(self, files={name: self.files[name] for name in names})

    def fingerprint(self) -> str:
        """Returns a hash of all content, without a look at it: it is verified when it is read."""
        return hashlib.sha256(repr(sorted(self.files.items())).encode()).hexdigest()

    def find(self, path: str | None, cache: Path) -> Path | None:
        """Returns the folder of the files; None where they are to be downloaded.

        That is data.path, else its folder in $SEQMODELS_DATA_DIR/data, else what `prepare`
        downloaded. A file may be compressed by gzip, with .gz added to its name. Where there is
        only one file, data.path may be its path, whatever its name.

        Raises:
          UserError: data.path lacks one of them.
        """
        if path is not None:
            folder = Path(path).expanduser()
            missing = [name for name in self.files if self._find_file(folder, name) is None]
            if missing:
                none = (
                    "there is no such file or folder" if len(self.files) == 1 else "is not a folder"
                )
                what = f"has no {' and no '.join(missing)}" if folder.is_dir() else none
                raise UserError(
                    f"data.path={path}: {what}; it must hold the files of {self.name}: "
                    f"{', '.join(self.files)}"
                )
            return folder
        folders = [cache / "downloads" / self.name]
        if "SEQMODELS_DATA_DIR" in os.environ:
            shared = Path(os.environ["SEQMODELS_DATA_DIR"]) / "data"
            folders.insert(0, shared / (self.folder or self.name))
        complete = lambda folder: all(self._find_file(folder, name) for name in self.files)
        return next(filter(complete, folders), None)

    def read(self, folder: Path | None) -> dict[str, bytes]:
        """Returns the contents by name.

        Raises:
          UserError: there is no folder, or a file cannot be read or is another one.
        """
        if folder is None:
            raise UserError(
                f"data.name={self.name}: not here yet; `python launch.py prepare --config=...` "
                f"downloads it, or name a folder with {', '.join(self.files)} by data.path"
            )
        contents = {}
        for name in self.files:
            path = self._find_file(folder, name) or folder / name
            try:
                with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
                    contents[name] = self._read_file(stream, name)
            except (OSError, EOFError, zlib.error) as error:
                raise UserError(f"{path}: cannot read ({error})") from None
        self.check(contents, str(folder))
        return contents

    def prepare(self, path: str | None, cache: Path) -> None:
        """Downloads the files unless they are there, and keeps them under `cache`.

        Raises:
          UserError: no URL gives the published files; says why not.
        """
        if self.find(path, cache) is not None:
            return
        folder = cache / "downloads" / self.name
        with explain_cache_errors(cache):
            folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(folder.with_suffix(".lock")):
                if self.find(path, cache) is not None:
                    return
                contents = self._download()
                for name, content in contents.items():
                    partial = folder / f".{name}.partial"
                    partial.write_bytes(content)
                    shutil.move(partial, folder / name)

    def _download(self) -> dict[str, bytes]:
        reasons = []
        for url in self.urls:
            try:
                found = self._fetch(url)
                self.check(found, url)
                return found
            except UserError as error:
                reasons.append(str(error))
            except KeyError as error:
                reasons.append(f"{url}: has no {error.args[0]}")
            except _FAILURES as error:
                reasons.append(f"{url}: {' '.join(str(error).split())}")
        raise UserError(
            f"data.name={self.name}: cannot download it ({'; '.join(reasons)}); data.path may "
            "name a folder with its files"
        )

    def _fetch(self, url: str) -> dict[str, bytes]:
        if url.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(fetch(url))) as archive:
                names = {Path(name).name: name for name in archive.namelist()}
                return {
                    name: self._read_file(archive.open(names[self.zipped(name)]), name)
                    for name in self.files
                }
        if not url.endswith(".tar.gz"):
            is_packed = self.ending == ".gz"
            found = {}
            for name in self.files:
                content: Any = io.BytesIO(fetch(f"{url}/{name}{self.ending}"))
                stream = gzip.GzipFile(fileobj=content) if is_packed else content
                found[name] = self._read_file(stream, name)
            return found
        unpacked = gzip.GzipFile(fileobj=io.BytesIO(fetch(url))).read(_MAX_UNPACKED)
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as archive:
            members = {Path(member.name).name: member for member in archive if member.isfile()}
            opened = {name: archive.extractfile(members[name]) for name in self.files}
            return {
                name: self._read_file(file, name)
                for name, file in opened.items()
                if file is not None
            }

    def _read_file(self, stream: Any, name: str) -> bytes:
        """A file's content; of one that is longer than the published one a byte more than that."""
        return stream.read(self.files[name][0] + 1)

    def check(self, contents: Mapping[str, bytes], where: str) -> None:
        """Raises UserError where a file is not the published one."""
        hint = f"; {self.others} reads other files" if self.others else ""
        for name, (size, expected) in self.files.items():
            found, length = self.digest(contents[name]), len(contents[name])
            if found != expected:
                if self.digest is not sha256:
                    raise UserError(f"{where}: {name} does not hold the published series{hint}")
                other = f"{length} bytes of sha256 {found[:12]}..,"
                other = other if length <= size else f"more than {size} bytes,"
                raise UserError(
                    f"{where}: {name} is not the published file: {other} not {size} of "
                    f"sha256 {expected[:12]}..{hint}"
                )

    def _find_file(self, folder: Path, name: str) -> Path | None:
        alone = (folder,) if len(self.files) == 1 else ()
        found = (*alone, folder / name, folder / f"{name}.gz")
        return next((path for path in found if path.is_file()), None)
