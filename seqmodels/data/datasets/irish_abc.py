"""`irish_abc`: 804 Irish folk tunes in ABC, the file of the first lab of MIT 6.S191.

83 characters, 197,618 in all, of traditional tunes; the repository is under the MIT licence. A
document is a tune. 5 of 100 tunes are held out for validation and 5 for the test, by a hash of
their notes; a tune with a character that no other tune has is trained on, so that the training
split has all 83.

The file is that of data.path, else of $SEQMODELS_DATA_DIR/data/irish_abc where that exists, else
the one that `prepare` downloads. Wherever it comes from, it must be the published one.
"""

from __future__ import annotations

from collections import Counter

from seqmodels.config.data import DataConfig
from seqmodels.data.datasets.built import BuiltSource, BuiltText
from seqmodels.data.datasets.dataset import Documents, hash_documents
from seqmodels.data.datasets.origin import Published
from seqmodels.data.datasets.tunes import deal_tunes, tunes_of
from seqmodels.data.store import cache_directory
from seqmodels.music.abc_text import body_of

_FILE = "irish.abc"
_PLACE = "introtodeeplearning/master/mitdeeplearning/data"
IRISH_ABC = Published(
    "irish_abc",
    {_FILE: (197_618, "df3782d5f7b5a2f4c66aa7c13f13008d5f48757b3f5f51620cd6c1ceb2c53023")},
    (
        f"https://raw.githubusercontent.com/MITDeepLearning/{_PLACE}",
        f"https://raw.githubusercontent.com/aamini/{_PLACE}",
    ),
    others="data.name=abc_file",
)
"""The origin and its authors' other copy. Not tested against the servers."""
HELD_OUT = 0.05
"""Share of the tunes in each of validation and test."""
SPLITS_HASH = "52af3ea90409c6676c89f5b56680994861d05d30e24676de905e2e85c2f4af05"
"""Of the documents of all splits, `hash_documents`."""


class IrishABC(BuiltText):
    """One example per tune, in the order of the file. Column: text."""

    name = "irish_abc"
    about = "Irish folk tunes in ABC notation, from MIT 6.S191."
    unit = "tunes"

    @classmethod
    def open(cls, config: DataConfig) -> BuiltSource:
        """Returns the data set, prepared in the cache.

        Raises:
          UserError: data.path is neither the file nor a folder that has it.
        """
        cache = cache_directory(config)
        folder = IRISH_ABC.find(config.path, cache)
        where = str(folder or IRISH_ABC.urls[0])

        def documents() -> Documents:
            text = IRISH_ABC.read(folder)[_FILE].decode()
            return split_tunes(tunes_of(text, where, keep_broken=True))

        is_right = lambda found: hash_documents(found) == SPLITS_HASH
        return BuiltSource(cls, SPLITS_HASH, documents, is_right, where, cache / "tfds")

    @classmethod
    def prepare(cls, config: DataConfig) -> None:
        """Downloads the file unless it is there."""
        IRISH_ABC.prepare(config.path, cache_directory(config))


def split_tunes(tunes: list[str]) -> Documents:
    """Assigns tunes to splits; a tune with a character that no other has is trained on."""
    owners = Counter(symbol for tune in tunes for symbol in set(tune))
    rare = {symbol for symbol, count in owners.items() if count == 1}
    kept = {body_of(tune) for tune in tunes if not rare.isdisjoint(tune)}
    common = [tune for tune in tunes if body_of(tune) not in kept]
    splits = deal_tunes(common, HELD_OUT, HELD_OUT)
    held = {tune for split in ("validation", "test") for tune in splits[split]}
    return {**splits, "train": [tune for tune in tunes if tune not in held]}
