"""What every data set of texts with classes offers."""

from __future__ import annotations

import dataclasses
import functools
from typing import Protocol, runtime_checkable

from seqmodels.config.labelled import LabelledTextDataConfig
from seqmodels.data.datasets.source import Documents


@dataclasses.dataclass(frozen=True)
class LabelledTexts:
    """Texts and the names of their classes.

    Attributes:
      classes: all names, in their order; None = those of the training split.
      splits: split name to its texts and the class of each.
    """

    classes: tuple[str, ...] | None
    splits: dict[str, tuple[list[str], list[str]]]


@runtime_checkable
class LabelledSource(Protocol):
    """A data set that can be read. Each class of the registry's DATASETS makes one by `source`.

    Attributes:
      description: what and where, for a person.
    """

    description: str

    def fingerprint(self) -> str:
        """Returns a hash of all that decides `read()`; cheap: every start asks."""
        ...

    def read(self) -> LabelledTexts:
        """Reads texts and classes. Raises UserError where the user can mend what is wrong."""
        ...

    def name(self, split: str, index: int) -> str:
        """Says which example of a split that is, for errors."""
        ...


@runtime_checkable
class LabelledDataset(Protocol):
    """A class of the registry's DATASETS."""

    @classmethod
    def source(cls, config: LabelledTextDataConfig) -> LabelledSource:
        """Returns the data set that `config` names."""
        ...

    @classmethod
    def prepare(cls, config: LabelledTextDataConfig) -> None:
        """Downloads what is missing, where the data set can."""
        ...


class Texts:
    """The texts as the token store takes them, each a document of its own.

    Attributes:
      found: what the source has; read when it is first asked for.
    """

    def __init__(self, source: LabelledSource) -> None:
        self._source, self.description = source, source.description

    @functools.cached_property
    def found(self) -> LabelledTexts:
        return self._source.read()

    def fingerprint(self) -> str:
        """Returns the source's."""
        return f"{self._source.fingerprint()} labelled"

    def documents(self) -> Documents:
        """Returns the texts of each split."""
        return {split: texts for split, (texts, _) in self.found.splits.items()}
