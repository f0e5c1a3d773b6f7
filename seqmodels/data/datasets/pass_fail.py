"""`pass_fail`: who passes an exam, by hours of study and lectures. Built in; reads no file."""

from __future__ import annotations

import hashlib

import numpy as np

from seqmodels.data import order
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits
from seqmodels.data.datasets.waves import uniform

CLASSES = ("fail", "pass")
NUM_STUDENTS = {"train": 1000, "validation": 300, "test": 300}
_NUM_DRAWS = 6


class PassFail(BuiltInDataset):
    """Student i of a split is a function of i.

    Columns: "hours,lectures", a step of two numbers (0.0 to 40.0 hours of study, 0 to 14 lectures
    attended); label, fail or pass.

        pass where (hours + 4) (lectures + 3) + noise > 160

    The noise is the sum of four uniform numbers, from -60 to 60 in all, so that near the curve, a
    hyperbola, either may happen. A line can follow the curve only in part.
    """

    description = "hours of study, lectures and an exam, made up"

    def fingerprint(self) -> str:
        return hashlib.sha256(repr((NUM_STUDENTS, CLASSES, 1)).encode()).hexdigest()

    def splits(self) -> Splits:
        splits: Splits = {}
        for split, count in NUM_STUDENTS.items():
            draws = order.draw(0, f"students of {split}", 0, count * _NUM_DRAWS)
            chance = uniform(draws).reshape(count, _NUM_DRAWS)
            hours = np.floor(401 * chance[:, 0]) / 10
            lectures = np.floor(15 * chance[:, 1])
            noise = 30 * (chance[:, 2:].sum(axis=1) - 2)
            passes = (hours + 4) * (lectures + 3) + noise > 160
            splits[split] = {
                "hours,lectures": np.stack([hours, lectures], axis=1)[:, None].tolist(),
                "label": [CLASSES[int(one)] for one in passes],
            }
        return splits

    def classes(self, column: str) -> tuple[str, ...] | None:
        return CLASSES if column == "label" else None

    def locate(self, split: str, row: int) -> str:
        return f"{split} student {row}"
