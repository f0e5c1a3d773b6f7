"""`pairs_file`: the user's own pairs, in CSV or TSV files with named columns."""

from __future__ import annotations

from seqmodels.config.data import PairsDataConfig
from seqmodels.data.datasets.pair_source import Pairs, PairSource
from seqmodels.data.datasets.tables import Tables


class PairsFile:
    """One file, dealt out to splits by a hash of the source, or a file a split.

    So pairs of one source are in one split; a target may be in several.
    """

    @classmethod
    def source(cls, config: PairsDataConfig) -> PairSource:
        """Returns the files that `config` names; raises UserError where a path leads nowhere."""
        return _PairsFile(config)

    @classmethod
    def prepare(cls, config: PairsDataConfig) -> None:
        """Nothing to download."""
        del config


class _PairsFile:
    def __init__(self, config: PairsDataConfig) -> None:
        columns = {
            "data.source_column": config.source_column,
            "data.target_column": config.target_column,
        }
        self._tables = Tables(config, columns)
        self.description = self._tables.description

    def fingerprint(self) -> str:
        return self._tables.fingerprint()

    def pairs(self) -> Pairs:
        found = self._tables.read().items()
        return {split: (sources, targets) for split, (sources, targets) in found}

    def name(self, split: str, index: int) -> str:
        return self._tables.name(split, index)
