"""`fasta`: the user's own sequences in FASTA files: `fasta`, `fasta:dna` or `fasta:protein`."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from pathlib import Path

from seqmodels.config.data import DataConfig
from seqmodels.config.errors import UserError, suggest
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits
from seqmodels.data.datasets.own_files import OwnFiles, deal_rows
from seqmodels.files import find_file, open_or_explain, read_filled, split_lines

ALPHABETS = {
    "dna": "ACGTURYSWKMBDHVN-",
    "protein": "ABCDEFGHIKLMNPQRSTVWXYZUOJ*-",
}
"""IUPAC's letters, those for residues that are not known included."""
ANY = "".join(sorted(set("".join(ALPHABETS.values()))))


@dataclasses.dataclass(frozen=True)
class Records:
    """The sequences of a file.

    Attributes:
      columns: name, sequence and label of each; a label may be empty.
      lines: the line of each header, from 1.
    """

    columns: dict[str, list[str]]
    lines: list[int]


class Fasta(BuiltInDataset):
    """One file, assigned to splits by a hash of the sequence, or a file per split.

    Columns: name, the first word after >; label, the rest of that line; sequence, the lines below
    it, in capitals. Equal sequences are in one split.

    Raises:
      UserError: the fields contradict each other, or a path does not lead to one file.
    """

    def __init__(self, config: DataConfig) -> None:
        _, _, alphabet = config.name.partition(":")
        if alphabet and alphabet not in ALPHABETS:
            near = suggest(alphabet, ALPHABETS)
            raise UserError(f"data.name={config.name}: alphabet {alphabet!r} is not known{near}")
        self._letters = ALPHABETS.get(alphabet, ANY)
        self._own = OwnFiles.of(config, "a FASTA file", needs_validation=True)
        self._wanted = tuple(config.columns().values())
        self._files = {
            field: find_file(f"data.{field}", path) for field, path in self._own.paths.items()
        }
        self.description = ", ".join(map(str, self._files.values()))

    @classmethod
    def open(cls, config: DataConfig) -> Fasta:
        return cls(config)

    def fingerprint(self) -> str:
        how = (self._own.fractions, self._letters, self._wanted, 1)
        digest = hashlib.sha256(repr(how).encode())
        for field, file in self._files.items():
            with open_or_explain(file) as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            digest.update(f"{field} {content}".encode())
        return digest.hexdigest()

    def splits(self) -> Splits:
        """Reads the sequences.

        Raises:
          UserError: names the file and line at fault, or a split that is left empty.
        """
        return {
            split: {name: [column[row] for row in rows] for name, column in found.columns.items()}
            for split, (_, found, rows) in self._arranged.items()
        }

    def locate(self, split: str, row: int) -> str:
        file, found, rows = self._arranged[split]
        return f"{file}, line {found.lines[rows[row]]}"

    @functools.cached_property
    def _arranged(self) -> dict[str, tuple[Path, Records, list[int]]]:
        """File, its records and the rows of them, of each split."""
        found = {}
        for field, file in self._files.items():
            records = read_fasta(file, self._letters)
            if "label" in self._wanted:
                for line, label in zip(records.lines, records.columns["label"], strict=True):
                    if not label:
                        raise UserError(f"{file}, line {line}: has no label after the name")
            found[field] = (file, records, list(range(len(records.lines))))

        def cut(whole: tuple, validation: float, test: float) -> dict[str, tuple]:
            file, records, _ = whole
            dealt = deal_rows(records.columns["sequence"], validation, test)
            return {split: (file, records, rows) for split, rows in dealt.items()}

        return self._own.arrange(found, cut)


def read_fasta(file: Path, letters: str) -> Records:
    """Reads a UTF-8 file of sequences; empty lines are skipped.

    Args:
      letters: those that a sequence may have; small ones are taken for capitals.

    Raises:
      UserError: the first line does not begin with >, a header has no name, a sequence has no
        letter or one that is not known.
    """
    columns: dict[str, list[str]] = {"name": [], "sequence": [], "label": []}
    lines: list[int] = []
    for number, line in enumerate(map(str.strip, split_lines(read_filled(file))), 1):
        where = f"{file}, line {number}"
        if line.startswith(">"):
            _refuse_empty(file, columns["sequence"], lines)
            name, _, label = line[1:].strip().partition(" ")
            if not name:
                raise UserError(f"{where}: has no name after >")
            for column, value in zip(columns.values(), (name, "", label.strip()), strict=True):
                column.append(value)
            lines.append(number)
        elif line and not lines:
            raise UserError(
                f"{where}: a FASTA file begins with a line > and a name, not {line:.20}"
            )
        elif line:
            unknown = next((letter for letter in line if letter.upper() not in letters), None)
            if unknown is not None:
                raise UserError(
                    f"{where}: letter {unknown!r} is not known; a sequence has {letters}"
                )
            columns["sequence"][-1] += line.upper()
    _refuse_empty(file, columns["sequence"], lines)
    if not lines:
        raise UserError(f"{file}: has no sequence")
    return Records(columns, lines)


def _refuse_empty(file: Path, sequences: list[str], lines: list[int]) -> None:
    if lines and not sequences[-1]:
        raise UserError(f"{file}, line {lines[-1]}: has no sequence below it")
