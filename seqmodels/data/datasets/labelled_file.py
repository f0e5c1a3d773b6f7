"""`labelled_file`: the user's own texts and classes, in CSV or TSV files with named columns."""

from __future__ import annotations

import hashlib

from seqmodels.config.errors import UserError
from seqmodels.config.labelled import LabelledTextDataConfig
from seqmodels.data.datasets.columns import Table, find_table, read_columns
from seqmodels.data.datasets.labelled_source import LabelledSource, LabelledTexts, share
from seqmodels.data.datasets.text_file import open_or_explain

SPLITS = ("train", "validation", "test")


class LabelledFile:
    """One file, dealt out to splits by a hash of the text, or a file a split.

    The classes are those of the training split.
    """

    @classmethod
    def source(cls, config: LabelledTextDataConfig) -> LabelledSource:
        """Returns the files that `config` names; raises UserError where a path leads nowhere."""
        return _LabelledFile(config)

    @classmethod
    def prepare(cls, config: LabelledTextDataConfig) -> None:
        """Nothing to download."""
        del config


class _LabelledFile:
    def __init__(self, config: LabelledTextDataConfig) -> None:
        self._fractions = (config.validation_fraction, config.test_fraction)
        self._columns = {
            "data.text_column": config.text_column,
            "data.label_column": config.label_column,
        }
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
        how = (self._fractions if self._whole else None, list(self._columns.values()))
        digest = hashlib.sha256(repr(how).encode())
        for split, file in self._files.items():
            with open_or_explain(file) as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            digest.update(f"{split} {file.suffix} {content}".encode())
        return digest.hexdigest()

    def read(self) -> LabelledTexts:
        tables = {split: read_columns(file, self._columns) for split, file in self._files.items()}
        if not self._whole:
            return LabelledTexts(None, {split: _both(table) for split, table in tables.items()})
        texts, labels = _both(tables[""])
        splits = {}
        for split, places in self._deal(texts).items():
            splits[split] = ([texts[i] for i in places], [labels[i] for i in places])
        return LabelledTexts(None, splits)

    def name(self, split: str, index: int) -> str:
        file = self._files["" if self._whole else split]
        table = read_columns(file, self._columns)
        row = self._deal(_both(table)[0])[split][index] if self._whole else index
        return f"{file}, line {table.lines[row]}"

    def _deal(self, texts: list[str]) -> dict[str, list[int]]:
        """The rows of each split."""
        validation, test = self._fractions
        dealt: dict[str, list[int]] = {split: [] for split in SPLITS}
        for row, text in enumerate(texts):
            lot = share(text)
            held = "validation" if lot < validation else "test"
            dealt[held if lot < validation + test else "train"].append(row)
        for split, fraction in (("validation", validation), ("test", test)):
            if fraction and not dealt[split]:
                raise UserError(
                    f"data.{split}_fraction={fraction}: of {len(texts)} examples none falls to "
                    f"the {split} split"
                )
        if not dealt["train"]:
            raise UserError(f"data.path: of {len(texts)} examples none falls to the train split")
        return {split: rows for split, rows in dealt.items() if rows}


def _both(table: Table) -> tuple[list[str], list[str]]:
    texts, labels = table.columns
    return texts, labels
