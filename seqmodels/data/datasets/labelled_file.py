"""`labelled_file`: the user's own texts and classes, in CSV or TSV files with named columns."""

from __future__ import annotations

from seqmodels.config.labelled import LabelledTextDataConfig
from seqmodels.data.datasets.labelled_source import LabelledSource, LabelledTexts
from seqmodels.data.datasets.tables import Tables


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
        columns = {"data.text_column": config.text_column, "data.label_column": config.label_column}
        self._tables = Tables(config, columns)
        self.description = self._tables.description

    def fingerprint(self) -> str:
        return self._tables.fingerprint()

    def read(self) -> LabelledTexts:
        found = self._tables.read().items()
        return LabelledTexts(None, {split: (texts, labels) for split, (texts, labels) in found})

    def name(self, split: str, index: int) -> str:
        return self._tables.name(split, index)
