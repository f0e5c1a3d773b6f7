"""`splice`: UCI's splice junctions of primate genes. Columns: sequence, label."""

from __future__ import annotations

import hashlib

from seqmodels.config.data import DataConfig
from seqmodels.data.datasets.dataset import SPLITS, Splits, split_of_fold
from seqmodels.data.datasets.origin import Published
from seqmodels.data.datasets.published import PublishedDataset
from seqmodels.files import split_lines

CLASSES = ("EI", "IE", "N")
FILES = Published(
    "splice",
    {
        "splice.data": (
            319_000,
            "ebbae10c85d3c285e2a2489a37e42bc2ee8d91d15005e391a9962fa3389a114f",
        ),
    },
    (
        "https://archive.ics.uci.edu/ml/machine-learning-databases/molecular-biology/"
        "splice-junction-gene-sequences",
        "https://archive.ics.uci.edu/static/public/69/"
        "molecular+biology+splice+junction+gene+sequences.zip",
    ),
)
"""Towell, Noordewier and Shavlik, 1991. Not tested against the server."""


class Splice(PublishedDataset):
    """3,190 windows of 60 bases around a donor (EI), an acceptor (IE) or neither (N).

    Letters are A, C, G, T, and rarely N, D, R or S where a base is not known. There is no published
    split: a hash of the sequence assigns it to one of ten folds. data.fold is the test split, the
    next one is the validation split. So the 185 sequences that occur more than once are in one
    split each.
    """

    files = FILES

    def __init__(self, config: DataConfig) -> None:
        super().__init__(config)
        self._fold = config.fold

    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self.files.fingerprint()} {self._fold} 1".encode()).hexdigest()

    def splits(self) -> Splits:
        (content,) = self.files.read(self._folder).values()
        splits: Splits = {split: {"sequence": [], "label": []} for split in SPLITS}
        for line in split_lines(content.decode("ascii")):
            label, _, sequence = (part.strip() for part in line.split(","))
            split = splits[split_of_fold(sequence, self._fold)]
            split["sequence"].append(sequence)
            split["label"].append(label)
        return splits

    def classes(self, column: str) -> tuple[str, ...] | None:
        return CLASSES if column == "label" else None

    def locate(self, split: str, row: int) -> str:
        return f"splice, {split} sequence {row + 1}"
