"""WikiText-2 (Merity et al., 2016, arXiv:1609.07843): 720 articles of Wikipedia, cut into words.

Rare words are <unk> in the text already. With data.tokenizer=word 33,278 different tokens, <eos>
among them, stand in rows of 2,088,628, 217,646 and 245,569: what the papers tell perplexities of.
A document is an article; blank lines count as lines.

The files are those of the folder data.path, else of $SEQMODELS_DATA_DIR/data/wikitext2 where that
exists, else what `prepare` downloads. Wherever they come from, they must be the published ones.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from seqmodels.config.data import TextDataConfig
from seqmodels.config.errors import UserError
from seqmodels.data.common import cache_directory
from seqmodels.data.datasets.built import BuiltSource, BuiltText
from seqmodels.data.datasets.fetch import FAILURES, fetch
from seqmodels.data.datasets.source import Documents, TextSource
from seqmodels.data.store import explain_cache_errors

URLS = (
    "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip",
    "https://wikitext.smerity.com/wikitext-2-v1.zip",
)
"""The origin, which is said to refuse since 2024, and the mirror of one of the authors; the first
that gives the published files is used. Not tested against the servers."""

FILES = {
    "train": (
        "wiki.train.tokens",
        10_797_148,
        "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f",
    ),
    "validation": (
        "wiki.valid.tokens",
        1_121_681,
        "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
    ),
    "test": (
        "wiki.test.tokens",
        1_256_449,
        "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
    ),
}
"""Of each split the file, its bytes and its sha256."""

_ARTICLE = re.compile(r"(?:^|(?<=\n))(?= \n = (?!=)[^\n]*(?<!=) = \n \n)")
"""Where an article begins: a blank line and a heading of the first order between blank lines."""
_FAILURES = (
    *FAILURES,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
)
"""What a connection and an archive may raise."""


class WikiText2(BuiltText):
    """One example an article, in the order of the files."""

    name = "wikitext2"
    about = "WikiText-2: articles of Wikipedia, cut into words; CC BY-SA 3.0."
    unit = "articles"

    @classmethod
    def source(cls, config: TextDataConfig, cache: Path) -> TextSource:
        """Returns the data set, prepared under `cache`.

        Raises:
          UserError: data.path is no folder with the three files.
        """
        folder = _find_folder(config.path)
        return _source(lambda: read_folder(folder), folder, cache)

    @classmethod
    def prepare(cls, config: TextDataConfig) -> None:
        """Downloads the files unless they are there."""
        cache, folder = cache_directory(config), _find_folder(config.path)
        make = download if folder is None else lambda: read_folder(folder)
        with explain_cache_errors(cache):
            _source(make, folder, cache).documents()


def _source(make: Callable[[], dict[str, bytes]], folder: Path | None, cache: Path) -> BuiltSource:
    key = hashlib.sha256(repr(sorted(FILES.items())).encode()).hexdigest()
    description = f"WikiText-2 of {folder or ', '.join(URLS)}"
    documents = lambda: cut_articles(make())
    return BuiltSource(WikiText2, key, documents, _is_published, description, cache / "tfds")


def _find_folder(path: str | None) -> Path | None:
    """The folder that holds the files; None where there is none."""
    if path is not None:
        folder = Path(path).expanduser()
        missing = [name for name, _, _ in FILES.values() if _find_file(folder, name) is None]
        if missing:
            what = f"has no {' and no '.join(missing)}" if folder.is_dir() else "is no folder"
            raise UserError(f"data.path={path}: {what}; it must hold WikiText-2's three files")
        return folder
    if "SEQMODELS_DATA_DIR" in os.environ:
        folder = Path(os.environ["SEQMODELS_DATA_DIR"]) / "data" / "wikitext2"
        if all(_find_file(folder, name) for name, _, _ in FILES.values()):
            return folder
    return None


def _find_file(folder: Path, name: str) -> Path | None:
    found = (folder / name, folder / f"{name}.gz")
    return next((path for path in found if path.is_file()), None)


def read_folder(folder: Path | None) -> dict[str, bytes]:
    """Returns the files of a folder by split; they may be compressed by gzip.

    Raises:
      UserError: there is no folder, or a file cannot be read or is another one.
    """
    if folder is None:
        names = ", ".join(name for name, _, _ in FILES.values())
        raise UserError(
            "data.name=wikitext2: not here yet; `python launch.py prepare --config=...` downloads "
            f"it, or name a folder with {names} by data.path"
        )
    contents = {}
    for split, (name, _, _) in FILES.items():
        path = _find_file(folder, name) or folder / name
        try:
            content = path.read_bytes()
            contents[split] = gzip.decompress(content) if path.suffix == ".gz" else content
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{path}: cannot read ({error})") from None
    check_published(contents, str(folder))
    return contents


def download() -> dict[str, bytes]:
    """Returns the files of the first of URLS that gives the published ones, by split.

    Raises:
      UserError: none does; tells why not.
    """
    reasons = []
    for url in URLS:
        try:
            with zipfile.ZipFile(io.BytesIO(fetch(url))) as archive:
                members = {Path(name).name: name for name in archive.namelist()}
                found = {s: archive.read(members[name]) for s, (name, _, _) in FILES.items()}
            check_published(found, url)
            return found
        except UserError as error:
            reasons.append(str(error))
        except KeyError as error:
            reasons.append(f"{url}: has no {error.args[0]}")
        except _FAILURES as error:
            reasons.append(f"{url}: {' '.join(str(error).split())}")
    raise UserError(
        f"data.name=wikitext2: cannot download it ({'; '.join(reasons)}); data.path may name a "
        "folder with its files"
    )


def check_published(contents: Mapping[str, bytes], where: str) -> None:
    """Raises UserError where a file is not the published one."""
    for split, (name, size, expected) in FILES.items():
        found = hashlib.sha256(contents[split]).hexdigest()
        if found != expected:
            raise UserError(
                f"{where}: {name} is not the published file: {len(contents[split])} bytes of "
                f"sha256 {found[:12]}.., not {size} of {expected[:12]}.."
            )


def cut_articles(contents: Mapping[str, bytes]) -> Documents:
    """Cuts each file before the headings of its articles."""
    return {
        split: [part for part in _ARTICLE.split(content.decode()) if part]
        for split, content in contents.items()
    }


def _is_published(documents: Documents) -> bool:
    try:
        joined = {split: "".join(parts).encode() for split, parts in documents.items()}
        check_published(joined, "what was built")
    except (UserError, KeyError):
        return False
    return True
