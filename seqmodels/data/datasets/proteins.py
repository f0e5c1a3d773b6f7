"""`proteins`: UCI's protein secondary structure. Columns: sequence, structure."""

from __future__ import annotations

import hashlib

from seqmodels.data.datasets.dataset import Splits, hash_fraction
from seqmodels.data.datasets.origin import Published
from seqmodels.data.datasets.published import PublishedDataset
from seqmodels.files import split_lines

CLASSES = ("h", "e", "_")
VALIDATION = 0.15
"""Of the training chains."""
_TRAIN, _TEST = (f"protein-secondary-structure.{part}" for part in ("train", "test"))
_ENDS = ("end", "<end>")
FILES = Published(
    "protein_secondary_structure",
    {
        _TRAIN: (73_120, "089030a3224116ffce9972c945b1487f0b594705189d4b7645e9e0fb6c0b5f5a"),
        _TEST: (14_586, "b794c73169bc50c88826b72332653db79415d8cca234ceb7a05232cffb5f2f9d"),
    },
    (
        "https://archive.ics.uci.edu/ml/machine-learning-databases/molecular-biology/"
        "protein-secondary-structure",
        "https://archive.ics.uci.edu/static/public/68/"
        "molecular+biology+protein+secondary+structure.zip",
    ),
)
"""Qian and Sejnowski, 1988. Not tested against the server."""


class Proteins(PublishedDataset):
    """111 chains of 18,105 residues for training and validation, 17 of 3,520 for testing.

    structure has a label per residue: h (helix), e (sheet) or _ (coil). A hash of the sequence
    holds about 15 % of the training chains out, so that equal chains are in one split.
    """

    files = FILES

    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self.files.fingerprint()} {VALIDATION} 1".encode()).hexdigest()

    def splits(self) -> Splits:
        contents = self.files.read(self._folder)
        chains = {name: read_chains(content.decode("ascii")) for name, content in contents.items()}
        held_out = [hash_fraction(sequence) < VALIDATION for sequence, _ in chains[_TRAIN]]
        known = list(zip(chains[_TRAIN], held_out, strict=True))
        parts = {
            "train": [chain for chain, held in known if not held],
            "validation": [chain for chain, held in known if held],
            "test": chains[_TEST],
        }
        return {
            split: {
                "sequence": [sequence for sequence, _ in rows],
                "structure": [" ".join(structure) for _, structure in rows],
            }
            for split, rows in parts.items()
        }

    def classes(self, column: str) -> tuple[str, ...] | None:
        return CLASSES if column == "structure" else None

    def locate(self, split: str, row: int) -> str:
        return f"proteins, {split} chain {row + 1}"


def read_chains(text: str) -> list[tuple[str, str]]:
    """The residues and the structure of each chain of a file.

    A chain begins after a line <>, and has a line per residue: its letter and its label. A line
    `end` or `<end>` may end it; lines with # are comments.
    """
    chains: list[tuple[list[str], list[str]]] = []
    for line in split_lines(text):
        words = line.split()
        if words == ["<>"]:
            chains.append(([], []))
        elif len(words) == 2 and "#" not in line and words[0] not in _ENDS:
            for letters, letter in zip(chains[-1], words, strict=True):
                letters.append(letter)
    return [("".join(a), "".join(b)) for a, b in chains if a]
