"""`tfds:NAME`: text of a TFDS catalog data set, prepared in array_record form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqmodels.config.data import TextDataConfig
from seqmodels.config.errors import UserError, suggest
from seqmodels.data.datasets import prepared
from seqmodels.data.datasets.source import Documents, TextSource, quiet

_CHUNK = 4096  # examples read in one call


class Catalog:
    """The examples of a split, in order, are its documents. For NAME see `prepared`.

    With several features a document is their texts, a line each; with one it is that text, exactly.
    """

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
        self._feature = config.feature
        self._names = [name.strip() for name in config.feature.split(",")]
        self._set = prepared.Prepared(config)
        self.description = f"{self._set.name} in {self._set.directory}"

    def fingerprint(self) -> str:
        return self._set.fingerprint(self._names)

    def documents(self) -> Documents:
        with quiet():
            builder = self._set.open()
            self._check_features(builder.info.features)
            examples = self._set.examples(builder)
            return {split: self._read(*found) for split, found in examples.items()}

    def _check_features(self, features: Any) -> None:
        from tensorflow_datasets.core.features import Text

        field, where = f"data.feature={self._feature}", self._set.name
        # TFDS keeps no order of its own.
        text = sorted(n for n, feature in features.items() if isinstance(feature, Text))
        for name in self._names:
            if name not in features:
                choices = suggest(name, text) if text else ""
                raise UserError(f"{field}: {where} has {', '.join(sorted(features))}{choices}")
            if name not in text:
                known = ", ".join(text) or "none"
                raise UserError(f"{field}: {name} is not text; text in {where}: {known}")

    def _read(self, field: str, examples: Any) -> list[str]:
        texts = []
        for first in range(0, len(examples), _CHUNK):
            numbers = list(range(first, min(first + _CHUNK, len(examples))))
            # One call a chunk: a call an example takes six times as long.
            found = zip(numbers, examples.__getitems__(numbers), strict=True)
            texts += [self._document(field, index, example) for index, example in found]
        if not any(text.strip() for text in texts):
            raise UserError(f"{field}: {self._set.name} has no text there")
        return texts

    def _document(self, field: str, index: int, example: Any) -> str:
        try:
            parts = [example[name].decode("utf-8") for name in self._names]
        except UnicodeDecodeError as error:
            raise UserError(
                f"{field}: example {index} of {self._set.name} is not UTF-8 at byte {error.start}"
            ) from None
        return parts[0] if len(parts) == 1 else "".join(f"{part}\n" for part in parts)
