"""`motifs`: DNA with two boxes whose order decides the class. Built in; reads no file."""

from __future__ import annotations

import hashlib

from seqmodels.data import order
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits

CLASSES = ("promoter", "reversed", "single", "none")
BOXES = ("TTGACA", "TATAAT")
SITES = (".", "a", "b")
NUM_SEQUENCES = {"train": 4000, "validation": 500, "test": 500}
LENGTH = 60
_LETTERS = "ACGT"
_NUM_DRAWS = 20
_CHANGED = 10
"""One letter in so many of a box is drawn again."""


class Motifs(BuiltInDataset):
    """Sequence i of a split is a function of i; its class is i mod 4.

    Columns: sequence, 60 letters; label; sites, a tag for each letter: `a` inside the first box,
    `b` inside the second, `.` elsewhere.

    The boxes are those of bacterial promoters, TTGACA and TATAAT; a tenth of their letters are
    drawn again. A promoter has the first and then the second, `reversed` the second and then the
    first, `single` one of them, at any place and at least a letter apart. So the letters at a place
    and the pairs of neighbours say little about promoter or reversed: the order does.
    """

    description = "DNA with boxes of promoters, made up"

    def fingerprint(self) -> str:
        rule = (NUM_SEQUENCES, LENGTH, CLASSES, BOXES, SITES, _CHANGED, 1)
        return hashlib.sha256(repr(rule).encode()).hexdigest()

    def splits(self) -> Splits:
        splits: Splits = {}
        size = LENGTH + _NUM_DRAWS
        for split, count in NUM_SEQUENCES.items():
            draws = order.draw(0, f"motifs of {split}", 0, count * size).reshape(count, size)
            made = [write(i % len(CLASSES), row.tolist()) for i, row in enumerate(draws)]
            splits[split] = {
                "sequence": [sequence for sequence, _ in made],
                "label": [CLASSES[i % len(CLASSES)] for i in range(count)],
                "sites": [" ".join(sites) for _, sites in made],
            }
        return splits

    def classes(self, column: str) -> tuple[str, ...] | None:
        return {"label": CLASSES, "sites": SITES}.get(column)

    def locate(self, split: str, row: int) -> str:
        return f"{split} sequence {row}"


def write(kind: int, numbers: list[int]) -> tuple[str, str]:
    """Writes a sequence; returns it and the tags of its letters.

    Args:
      kind: number of the class.
      numbers: LENGTH + _NUM_DRAWS numbers that make the choices.
    """
    pick = lambda number, size: (number >> 11) % size
    letters = [_LETTERS[pick(number, 4)] for number in numbers[_NUM_DRAWS:]]
    sites = [SITES[0]] * LENGTH
    width = len(BOXES[0])
    boxes = [(0, 1), (1, 0), (pick(numbers[0], 2),), ()][kind]
    # Two places at least a letter apart, each pair of them as likely as any other.
    room = LENGTH - width if len(boxes) < 2 else LENGTH - 2 * width - 1
    if len(boxes) < 2:
        places = [pick(numbers[1], room + 1)]
    else:
        pairs = [(i, j + width + 1) for j in range(room + 1) for i in range(j + 1)]
        places = list(pairs[pick(numbers[1], len(pairs))])
    for number, (box, place) in enumerate(zip(boxes, places, strict=False)):
        for i, letter in enumerate(BOXES[box]):
            drawn = numbers[2 + number * width + i]
            changed = pick(drawn, _CHANGED) == 0
            letters[place + i] = _LETTERS[(drawn >> 20) % 4] if changed else letter
            sites[place + i] = SITES[1 + box]
    return "".join(letters), "".join(sites)
