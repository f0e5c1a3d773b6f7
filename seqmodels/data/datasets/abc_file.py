"""`abc_file`: the user's own ABC files; a document is a tune."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqmodels.config.data import TextDataConfig
from seqmodels.data.datasets.source import Documents, TextSource
from seqmodels.data.datasets.text_file import SPLIT_FIELDS, TextFileSource
from seqmodels.data.datasets.tunes import deal_tunes, tunes_of


class ABCFile:
    """ABC files, cut into tunes where a line begins with 'X:'.

    With data.path a hash of a tune's notes decides its split, so that no two splits have tunes of
    the same notes; with a path a split, the user does.
    """

    @classmethod
    def source(cls, config: TextDataConfig, cache: Path) -> TextSource:
        """Returns the files that `config` names.

        Raises:
          UserError: the fields contradict each other, or a path leads nowhere.
        """
        del cache
        return _ABCFileSource(config)

    @classmethod
    def prepare(cls, config: TextDataConfig) -> None:
        """Nothing to download."""
        del config


class _ABCFileSource(TextFileSource):
    """Text files, of which each tune is a document."""

    def rule(self) -> tuple[Any, ...]:
        return (self._config.validation_fraction, self._config.test_fraction, "tunes")

    def fingerprint(self) -> str:
        return f"tunes {super().fingerprint()}"

    def documents(self) -> Documents:
        config = self._config
        tunes = {
            name: [tune for file, text in found for tune in tunes_of(text, str(file))]
            for name, texts in self.texts().items()
            for found in [zip(self._files[name], texts, strict=True)]
        }
        if "path" in tunes:
            return deal_tunes(tunes["path"], config.validation_fraction, config.test_fraction)
        return {split: tunes[name] for split, name in SPLIT_FIELDS.items() if name in tunes}
