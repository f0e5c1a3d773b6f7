"""`tfds_labelled:NAME`: a text and a class of each example of a TFDS catalog data set."""

from __future__ import annotations

from typing import Any

from seqmodels.config.errors import UserError
from seqmodels.config.labelled import LabelledTextDataConfig
from seqmodels.data.datasets import prepared
from seqmodels.data.datasets.labelled_source import LabelledSource, LabelledTexts
from seqmodels.data.datasets.source import quiet


class CatalogLabelled:
    """The examples of a split, in order. For NAME see `prepared`."""

    @classmethod
    def source(cls, config: LabelledTextDataConfig) -> LabelledSource:
        """Returns the prepared data set that `config` names.

        Raises:
          UserError: it is not prepared (the line says how to).
        """
        return _CatalogLabelled(config)

    @classmethod
    def prepare(cls, config: LabelledTextDataConfig) -> None:
        """Has TFDS download and prepare the data set unless it is there; see `prepared.prepare`."""
        prepared.prepare(config)


class _CatalogLabelled:
    def __init__(self, config: LabelledTextDataConfig) -> None:
        self._text, self._label = config.text_column, config.label_column
        self._set = prepared.Prepared(config)
        self.description = f"{self._set.name} in {self._set.directory}"

    def fingerprint(self) -> str:
        return self._set.fingerprint(["labelled", self._text, self._label])

    def read(self) -> LabelledTexts:
        with quiet():
            builder = self._set.open()
            classes = self._check_features(builder.info.features)
            found = self._set.examples(builder)
            splits = {split: self._read(*of, classes) for split, of in found.items()}
            return LabelledTexts(classes, splits)

    def name(self, split: str, index: int) -> str:
        return f"example {index} of the {split} split of {self._set.name}"

    def _check_features(self, features: Any) -> tuple[str, ...]:
        """Returns the names of the classes."""
        from tensorflow_datasets.core.features import ClassLabel, Text

        check = self._set.check_feature
        check(features, "data.text_column", self._text, Text, "text")
        check(features, "data.label_column", self._label, ClassLabel, "a class")
        return tuple(features[self._label].names)

    def _read(
        self, field: str, examples: Any, classes: tuple[str, ...]
    ) -> tuple[list[str], list[str]]:
        texts, labels = [], []
        for where, example in self._set.rows(field, examples):
            number = int(example[self._label])
            if not 0 <= number < len(classes):
                raise UserError(
                    f"{where} has no class but {number}: a split without classes cannot be used "
                    "(data.test_split may be none)"
                )
            texts.append(prepared.read_text(example[self._text], where))
            labels.append(classes[number])
        return texts, labels
