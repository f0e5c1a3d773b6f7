"""`multi30k`: captions of photographs in English, German and French, aligned line by line.

29,000, 1,014 and 1,000 pairs in each of the six directions: train, val and test_2016_flickr of task
1 (Elliott et al., 2016, W16-3210; French: Elliott et al., 2017, W17-4718). For research only, as
Flickr30k. Line i of each language is the translation of line i of the others, so that a split is
the same captions in every direction.
"""

from __future__ import annotations

import hashlib

from seqmodels.config.data import PairsDataConfig
from seqmodels.data.common import cache_directory
from seqmodels.data.datasets.origin import Published
from seqmodels.data.datasets.pair_source import Pairs, PairSource

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
_PARTS = {"train": "train", "validation": "val", "test": "test_2016_flickr"}


class Multi30k:
    """Pairs of data.source_language and data.target_language; only their files are needed."""

    @classmethod
    def source(cls, config: PairsDataConfig) -> PairSource:
        """Returns the data set; raises UserError where data.path lacks its files."""
        return _Multi30k(config)

    @classmethod
    def prepare(cls, config: PairsDataConfig) -> None:
        """Downloads the files unless they are there."""
        _needed(config).prepare(config.path, cache_directory(config))


def _needed(config: PairsDataConfig) -> Published:
    languages = (config.source_language, config.target_language)
    return MULTI30K.only(f"{part}.{language}" for part in _PARTS.values() for language in languages)


class _Multi30k:
    def __init__(self, config: PairsDataConfig) -> None:
        self._languages = (config.source_language.value, config.target_language.value)
        self._files = _needed(config)
        self._folder = self._files.find(config.path, cache_directory(config))
        where = self._folder or ", ".join(MULTI30K.urls)
        self.description = f"Multi30k, {' -> '.join(self._languages)}, of {where}"

    def fingerprint(self) -> str:
        text = f"{self._files.fingerprint()} {' '.join(self._languages)}"
        return hashlib.sha256(text.encode()).hexdigest()

    def pairs(self) -> Pairs:
        contents = self._files.read(self._folder)
        splits = {}
        for split, part in _PARTS.items():
            source, target = (contents[f"{part}.{language}"] for language in self._languages)
            splits[split] = (_lines(source), _lines(target))
        return splits

    def name(self, split: str, index: int) -> str:
        return f"{_PARTS[split]}.{self._languages[0]}, line {index + 1}"


def _lines(content: bytes) -> list[str]:
    return [line.strip() for line in content.decode().removesuffix("\n").split("\n")]
