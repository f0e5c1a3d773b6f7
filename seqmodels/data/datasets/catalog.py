"""`tfds:NAME`: text of a TFDS catalog data set, prepared in array_record form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqmodels.config.data import TextDataConfig
from seqmodels.config.errors import UserError, suggest
from seqmodels.data.datasets import prepared
from seqmodels.data.datasets.source import Documents, TextSource, quiet


class Catalog:
    """The examples of a split, in order, are its documents. For NAME see `prepared`."""

    @classmethod
    def source(cls, config: TextDataConfig, cache: Path) -> TextSource:
        """Returns the prepared data set that `config` names.

        Raises:
          UserError: it is not prepared (the line says how to).
        """
        del cache
        return _CatalogSource(config)

    @classmethod
    def prepare(cls, config: TextDataConfig) -> None:
        """Has TFDS download and prepare the data set unless it is there; see `prepared.prepare`."""
        prepared.prepare(config)


class _CatalogSource:
    def __init__(self, config: TextDataConfig) -> None:
        self._config, self._set = config, prepared.Prepared(config)
        self.description = f"{self._set.name} in {self._set.directory}"

    def fingerprint(self) -> str:
        return self._set.fingerprint(self._config.feature)

    def documents(self) -> Documents:
        with quiet():
            builder = self._set.open()
            self._check_feature(builder.info.features)
            examples = self._set.examples(builder)
            return {split: self._read(*found) for split, found in examples.items()}

    def _check_feature(self, features: Any) -> None:
        from tensorflow_datasets.core.features import Text

        field, name = f"data.feature={self._config.feature}", self._set.name
        text = [name for name, feature in features.items() if isinstance(feature, Text)]
        if self._config.feature not in features:
            choices = f"{suggest(self._config.feature, text)}" if text else ""
            raise UserError(f"{field}: {name} has {', '.join(features)}{choices}")
        if self._config.feature not in text:
            raise UserError(f"{field}: not text; text in {name}: {', '.join(text) or 'none'}")

    def _read(self, field: str, examples: Any) -> list[str]:
        texts, name = [], self._set.name
        for index, example in enumerate(examples):
            try:
                texts.append(example[self._config.feature].decode("utf-8"))
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{field}: example {index} of {name} is not UTF-8 at byte {error.start}"
                ) from None
        if not any(texts):
            raise UserError(f"{field}: {name} has no text there")
        return texts
