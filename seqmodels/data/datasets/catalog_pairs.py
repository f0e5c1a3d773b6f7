"""`tfds_pairs:NAME`: two texts of each example of a TFDS catalog data set, as of a translation."""

from __future__ import annotations

from typing import Any

from seqmodels.config.data import PairsDataConfig
from seqmodels.data.datasets import prepared
from seqmodels.data.datasets.pair_source import Pairs, PairSource
from seqmodels.data.datasets.source import quiet


class CatalogPairs:
    """The examples of a split, in order. For NAME see `prepared`."""

    @classmethod
    def source(cls, config: PairsDataConfig) -> PairSource:
        """Returns the prepared data set that `config` names.

        Raises:
          UserError: it is not prepared (the line says how to).
        """
        return _CatalogPairs(config)

    @classmethod
    def prepare(cls, config: PairsDataConfig) -> None:
        """Has TFDS download and prepare the data set unless it is there; see `prepared.prepare`."""
        prepared.prepare(config)


class _CatalogPairs:
    def __init__(self, config: PairsDataConfig) -> None:
        self._columns = {
            "data.source_column": config.source_column,
            "data.target_column": config.target_column,
        }
        self._set = prepared.Prepared(config)
        self.description = f"{self._set.name} in {self._set.directory}"

    def fingerprint(self) -> str:
        return self._set.fingerprint(["pairs", *self._columns.values()])

    def pairs(self) -> Pairs:
        from tensorflow_datasets.core.features import Text

        with quiet():
            builder = self._set.open()
            for field, name in self._columns.items():
                self._set.check_feature(builder.info.features, field, name, Text, "text")
            found = self._set.examples(builder)
            return {split: self._read(*of) for split, of in found.items()}

    def _read(self, field: str, examples: Any) -> tuple[list[str], list[str]]:
        sources, targets = [], []
        source, target = self._columns.values()
        for where, example in self._set.rows(field, examples):
            sources.append(prepared.read_text(example[source], where, source))
            targets.append(prepared.read_text(example[target], where, target))
        return sources, targets

    def name(self, split: str, index: int) -> str:
        return f"example {index} of the {split} split of {self._set.name}"
