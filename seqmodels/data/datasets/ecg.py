"""`ecg5000` and `ecg200`: single heartbeats of the UCR archive. Columns: values, label.

The archive's files are tables without a header: the class, then the values, separated by tabs.
"""

from __future__ import annotations

import hashlib

import numpy as np

from seqmodels.config.errors import UserError
from seqmodels.data import order
from seqmodels.data.datasets.dataset import SPLITS, Splits
from seqmodels.data.datasets.origin import Published
from seqmodels.data.datasets.published import PublishedDataset
from seqmodels.files import split_lines

HELD_OUT = 5
"""One training series in so many of each class is for validation."""


def digest_series(content: bytes) -> str:
    """A hash of all classes, and of the values from the second series on, as float32.

    Copies of the archive differ in the digits that they print and in what separates the values, not
    in these; that of ECG5000 which the hash was taken from has fewer digits in its first series.
    """
    try:
        table = read_numbers(content)
    except UserError as error:
        return str(error)
    digest = hashlib.sha256(np.rint(table[:, 0]).astype(np.int64).tobytes())
    digest.update(np.ascontiguousarray(table[1:, 1:], np.float32).tobytes())
    return digest.hexdigest()


def read_numbers(content: bytes) -> np.ndarray:
    """A table [n, 1 + T] in float64; raises UserError where it is not one."""
    try:
        lines = split_lines(content.decode("ascii"))
        rows = [line.split() for line in lines if line.strip()]
        return np.array(rows, float)
    except ValueError as error:
        raise UserError(f"is not a table of numbers ({error})") from None


def _published(name: str, sizes: dict[str, tuple[int, str]]) -> Published:
    upper = name.upper()
    return Published(
        name,
        {f"{upper}_{part}.tsv": of for part, of in sizes.items()},
        (f"https://www.timeseriesclassification.com/aeon-toolkit/{upper}.zip",),
        folder="ecg",
        zipped=lambda file: file.replace(".tsv", ".txt"),
        digest=digest_series,
    )


FILES = {
    "ecg5000": _published(
        "ecg5000",
        {
            "TRAIN": (1 << 21, "fcaf6e4339eb2826c55ec6c2d10da03fa04da9d6c3181354861a40f7474976ba"),
            "TEST": (1 << 24, "a62e27406569273a0e0df481aba35c2d6caa3c08ed1f6173dd8476a089a70079"),
        },
    ),
    "ecg200": _published(
        "ecg200",
        {
            "TRAIN": (1 << 19, "d2b80d294808239ff1456b3b15f8c5c028f7ee2749eac77c27c11a8ab1cf7906"),
            "TEST": (1 << 19, "17e0e9f36122d2aa104fa454c54c8b736d6b210f9995f325dbb86720158c9f96"),
        },
    ),
}
"""Not tested against the server."""


class _Heartbeats(PublishedDataset):
    """The published training and test series; a fifth of the former, of each class, is held out.

    Of a class with n training series n // 5 are for validation, so that one with fewer than 5 has
    none there.
    """

    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self.files.fingerprint()} {HELD_OUT} 1".encode()).hexdigest()

    def splits(self) -> Splits:
        contents = self.files.read(self._folder)
        train, test = (read_numbers(content) for content in contents.values())
        held_out = hold_out(train[:, 0])
        parts = (train[~held_out], train[held_out], test)
        return {
            split: {
                "values": table[:, 1:].tolist(),
                "label": [str(round(x)) for x in table[:, 0]],
            }
            for split, table in zip(SPLITS, parts, strict=True)
        }

    def locate(self, split: str, row: int) -> str:
        return f"{self.files.name}, {split} series {row + 1}"


class ECG5000(_Heartbeats):
    """500 and 4,500 series of 140 values, classes 1 to 5 (two series of class 5 in training)."""

    files = FILES["ecg5000"]

    def classes(self, column: str) -> tuple[str, ...] | None:
        return tuple("12345") if column == "label" else None


class ECG200(_Heartbeats):
    """100 and 100 series of 96 values, classes -1 and 1."""

    files = FILES["ecg200"]

    def classes(self, column: str) -> tuple[str, ...] | None:
        return ("-1", "1") if column == "label" else None


def hold_out(labels: np.ndarray) -> np.ndarray:
    """Whether each training series is for validation: a fifth of each class, drawn once."""
    chosen = np.zeros(len(labels), bool)
    drawn = order.permutation(0, "validation series of ecg", 0, len(labels))
    for label in np.unique(labels):
        mine = drawn[labels[drawn] == label]
        chosen[mine[: len(mine) // HELD_OUT]] = True
    return chosen
