"""`irish_abc`: 804 Irish folk tunes in ABC, the file of the first lab of MIT 6.S191.

83 characters, 197,618 in all, of traditional tunes; the repository is under the MIT licence. A
document is a tune. 5 of 100 tunes are held out for validation and 5 for the test, by a hash of
their notes; a tune with a character that no other tune has is trained on, so that the training
split has all 83.

The file is that of data.path, else of $SEQMODELS_DATA_DIR/data/irish_abc where that exists, else
what `prepare` downloads. Wherever it comes from, it must be the published one.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from seqmodels.config.data import TextDataConfig
from seqmodels.config.errors import UserError
from seqmodels.data.abc_notation import body_of
from seqmodels.data.common import cache_directory
from seqmodels.data.datasets.built import BuiltSource, BuiltText
from seqmodels.data.datasets.fetch import FAILURES, fetch
from seqmodels.data.datasets.source import Documents, TextSource, hash_documents
from seqmodels.data.datasets.text_file import open_or_explain
from seqmodels.data.datasets.tunes import deal_tunes, tunes_of
from seqmodels.data.store import explain_cache_errors

_PLACE = "introtodeeplearning/master/mitdeeplearning/data/irish.abc"
URLS = (
    f"https://raw.githubusercontent.com/MITDeepLearning/{_PLACE}",
    f"https://raw.githubusercontent.com/aamini/{_PLACE}",
)
"""The origin and its authors' other copy. Not tested against the servers."""
NAME = "irish.abc"
SIZE = 197_618
SHA256 = "df3782d5f7b5a2f4c66aa7c13f13008d5f48757b3f5f51620cd6c1ceb2c53023"
HELD_OUT = 0.05
"""Share of the tunes in each of validation and test."""
SPLITS_HASH = "52af3ea90409c6676c89f5b56680994861d05d30e24676de905e2e85c2f4af05"
"""Of the documents of all splits, `hash_documents`."""


class IrishABC(BuiltText):
    """One example a tune, in the order of the file."""

    name = "irish_abc"
    about = "Irish folk tunes in ABC notation, from MIT 6.S191."
    unit = "tunes"

    @classmethod
    def source(cls, config: TextDataConfig, cache: Path) -> TextSource:
        """Returns the data set, prepared under `cache`.

        Raises:
          UserError: data.path is not the file and no folder that has it.
        """
        file = _find_file(config.path)
        return _source(lambda: _read(file), file, cache)

    @classmethod
    def prepare(cls, config: TextDataConfig) -> None:
        """Downloads the file unless it is there."""
        cache, file = cache_directory(config), _find_file(config.path)
        with explain_cache_errors(cache):
            _source(download if file is None else lambda: _read(file), file, cache).documents()


def _source(make: Callable[[], str], file: Path | None, cache: Path) -> BuiltSource:
    where = str(file or URLS[0])
    documents = lambda: split_tunes(tunes_of(make(), where, keep_broken=True))
    is_right = lambda found: hash_documents(found) == SPLITS_HASH
    return BuiltSource(IrishABC, SPLITS_HASH, documents, is_right, where, cache / "tfds")


def _find_file(path: str | None) -> Path | None:
    """The file; None where it is not there."""
    if path is not None:
        found = Path(path).expanduser()
        found = found / NAME if found.is_dir() else found
        if not found.is_file():
            raise UserError(f"data.path={path}: no such file, and no folder with {NAME}")
        return found
    if "SEQMODELS_DATA_DIR" in os.environ:
        found = Path(os.environ["SEQMODELS_DATA_DIR"]) / "data" / "irish_abc" / NAME
        if found.is_file():
            return found
    return None


def _read(file: Path | None) -> str:
    if file is None:
        raise UserError(
            "data.name=irish_abc: not here yet; `python launch.py prepare --config=...` downloads "
            f"it, or name {NAME} by data.path"
        )
    with open_or_explain(file) as stream:
        return _check(stream.read(), str(file))


def download() -> str:
    """Returns the file of the first of URLS that gives the published one.

    Raises:
      UserError: none does; tells why not.
    """
    reasons = []
    for url in URLS:
        try:
            return _check(fetch(url), url)
        except UserError as error:
            reasons.append(str(error))
        except FAILURES as error:
            reasons.append(f"{url}: {' '.join(str(error).split())}")
    raise UserError(
        f"data.name=irish_abc: cannot download it ({'; '.join(reasons)}); data.path may name {NAME}"
    )


def _check(content: bytes, where: str) -> str:
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise UserError(
            f"{where}: is not the published {NAME}: {len(content)} bytes of sha256 {found[:12]}.., "
            f"not {SIZE} of {SHA256[:12]}..; data.name=abc_file reads other files"
        )
    return content.decode()


def split_tunes(tunes: list[str]) -> Documents:
    """Deals the tunes out; those that alone have a character are trained on."""
    owners = Counter(symbol for tune in tunes for symbol in set(tune))
    rare = {symbol for symbol, count in owners.items() if count == 1}
    kept = {body_of(tune) for tune in tunes if not rare.isdisjoint(tune)}
    common = [tune for tune in tunes if body_of(tune) not in kept]
    splits = deal_tunes(common, HELD_OUT, HELD_OUT)
    held = {tune for split in ("validation", "test") for tune in splits[split]}
    return {**splits, "train": [tune for tune in tunes if tune not in held]}
