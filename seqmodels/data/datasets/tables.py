"""The user's own tables as splits: one file dealt out by a hash, or a file a split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from seqmodels.config.data import PairsDataConfig, TextForm
from seqmodels.config.errors import UserError
from seqmodels.config.labelled import LabelledTextDataConfig
from seqmodels.data.datasets.columns import Table, find_table, read_columns
from seqmodels.data.datasets.pair_source import bring
from seqmodels.data.datasets.source import share
from seqmodels.data.datasets.text_file import open_or_explain

InTables = LabelledTextDataConfig | PairsDataConfig
SPLITS = ("train", "validation", "test")


class Tables:
    """CSV or TSV files; see `columns`. Of one file, rows of equal first columns are in one split.

    Args:
      config: names the files.
      columns: field of the config -> the column that it names.

    Attributes:
      description: the files.

    Raises:
      UserError: a path leads nowhere, or to more than one file.
    """

    def __init__(self, config: InTables, columns: Mapping[str, str]) -> None:
        self._fractions, self._columns = (config.validation_fraction, config.test_fraction), columns
        self._whole = config.path is not None
        paths = {"": config.path}
        if not self._whole:
            given = (config.train_path, config.validation_path, config.test_path)
            paths = dict(zip(SPLITS, given, strict=True))
        self._files = {
            split: find_table(f"data.{split}_path" if split else "data.path", path)
            for split, path in paths.items()
            if path is not None
        }
        self.description = ", ".join(map(str, self._files.values()))

    def fingerprint(self) -> str:
        """Returns a hash of the files' content and of all that decides how they are read."""
        how = ((self._fractions, 1) if self._whole else None, list(self._columns.values()))
        digest = hashlib.sha256(repr(how).encode())
        for split, file in self._files.items():
            with open_or_explain(file) as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            digest.update(f"{split} {file.suffix} {content}".encode())
        return digest.hexdigest()

    def read(self) -> dict[str, tuple[list[str], ...]]:
        """Returns the columns of each split, in the order in which they were asked for.

        Raises:
          UserError: names the file and the line at fault, or a split that is left empty.
        """
        tables = {split: read_columns(file, self._columns) for split, file in self._files.items()}
        if not self._whole:
            return {split: table.columns for split, table in tables.items()}
        table = tables[""]
        return {
            split: tuple([column[row] for row in rows] for column in table.columns)
            for split, rows in self._deal(table).items()
        }

    def name(self, split: str, index: int) -> str:
        """Says where row `index` of a split begins, for errors."""
        file = self._files["" if self._whole else split]
        table = read_columns(file, self._columns)
        row = self._deal(table)[split][index] if self._whole else index
        return f"{file}, line {table.lines[row]}"

    def _deal(self, table: Table) -> dict[str, list[int]]:
        """The rows of each split; capitals and spaces do not count, whatever the form."""
        validation, test = self._fractions
        dealt: dict[str, list[int]] = {split: [] for split in SPLITS}
        for row, text in enumerate(table.columns[0]):
            lot = share(bring(text, TextForm.LOWER_WORDS))
            held = "validation" if lot < validation else "test"
            dealt[held if lot < validation + test else "train"].append(row)
        total = len(table.lines)
        for split, fraction in (("validation", validation), ("test", test)):
            if fraction and not dealt[split]:
                raise UserError(
                    f"data.{split}_fraction={fraction}: of {total} examples none falls to the "
                    f"{split} split"
                )
        if not dealt["train"]:
            raise UserError(f"data.path: of {total} examples none falls to the train split")
        return {split: rows for split, rows in dealt.items() if rows}
