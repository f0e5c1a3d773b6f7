"""`multi30k`: captions of photographs in English, German and French, aligned line by line.

29,000, 1,014 and 1,000 captions in each language: train, val and test_2016_flickr of task
1 (Elliott et al., 2016, W16-3210; French: Elliott et al., 2017, W17-4718). For research only, as
Flickr30k. Line i of each language is the translation of line i of the others, so that a split is
the same captions in every language. Columns: en, de, fr.
"""

from __future__ import annotations

import hashlib

from seqmodels.config.data import DataConfig
from seqmodels.config.errors import UserError, suggest
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits
from seqmodels.data.datasets.origin import Published
from seqmodels.data.store import cache_directory
from seqmodels.files import split_lines

FILES = {
    "train.en": (1_801_238, "460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6"),
    "train.de": (2_110_398, "2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72"),
    "train.fr": (2_111_303, "5925a3c18f1587b6b54b87743106e6e8ab93618edb6f65d19eac0621f853a10d"),
    "val.en": (63_297, "1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227"),
    "val.de": (75_981, "660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660"),
    "val.fr": (73_924, "5304e444d842e962b2dda4d816b70b22a1765b15401642b7ca37a67477e708dc"),
    "test_2016_flickr.en": (
        62_076,
        "399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182",
    ),
    "test_2016_flickr.de": (
        70_649,
        "4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16",
    ),
    "test_2016_flickr.fr": (
        72_261,
        "cb3160d69b002bb638e66cc7612fcd56cb0af82eadc9c142dedc438afb885ef6",
    ),
}
MULTI30K = Published(
    "multi30k",
    FILES,
    ("https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw",),
    ending=".gz",
)
"""Not tested against the server."""
LANGUAGES = ("en", "de", "fr")
_PARTS = {"train": "train", "validation": "val", "test": "test_2016_flickr"}


class Multi30k(BuiltInDataset):
    """Captions in the languages that the config names; only their files are needed.

    Raises:
      UserError: a column is not a language, or data.path lacks a file.
    """

    def __init__(self, config: DataConfig) -> None:
        self._languages = _languages(config)
        self._files = _files(self._languages)
        self._folder = self._files.find(config.path, cache_directory(config))
        where = self._folder or ", ".join(MULTI30K.urls)
        self.description = f"Multi30k ({', '.join(self._languages)}) of {where}"

    @classmethod
    def open(cls, config: DataConfig) -> Multi30k:
        return cls(config)

    @classmethod
    def prepare(cls, config: DataConfig) -> None:
        """Downloads the files unless they are there."""
        _files(_languages(config)).prepare(config.path, cache_directory(config))

    def fingerprint(self) -> str:
        text = f"{self._files.fingerprint()} {' '.join(self._languages)}"
        return hashlib.sha256(text.encode()).hexdigest()

    def splits(self) -> Splits:
        contents = self._files.read(self._folder)
        return {
            split: {
                language: _lines(contents[f"{part}.{language}"]) for language in self._languages
            }
            for split, part in _PARTS.items()
        }

    def locate(self, split: str, row: int) -> str:
        return f"{_PARTS[split]}.{self._languages[0]}, line {row + 1}"


def _languages(config: DataConfig) -> list[str]:
    """Columns that the config names, each once, in its order."""
    for field, name in config.columns().items():
        if name not in LANGUAGES:
            raise UserError(
                f"data.{field}={name}: is not a language of Multi30k{suggest(name, LANGUAGES)}"
            )
    return list(dict.fromkeys(config.columns().values()))


def _files(languages: list[str]) -> Published:
    return MULTI30K.only(f"{part}.{language}" for part in _PARTS.values() for language in languages)


def _lines(content: bytes) -> list[str]:
    return [line.strip() for line in split_lines(content.decode())]
