"""What every data set of pairs of texts offers."""

from __future__ import annotations

import re
from typing import Protocol, runtime_checkable

from seqmodels.config.data import PairsDataConfig, TextForm
from seqmodels.data.datasets.source import Documents

Pairs = dict[str, tuple[list[str], list[str]]]
"""Split name to its sources and its targets, one of each a pair."""
SIDES: tuple[str, ...] = ("source", "target")
_WORD_OR_MARK = re.compile(r"['\u2019]s\b|\w+|[^\w\s]")


@runtime_checkable
class PairSource(Protocol):
    """A data set that can be read. Each class of the registry's DATASETS makes one by `source`.

    Attributes:
      description: what and where, for a person.
    """

    description: str

    def fingerprint(self) -> str:
        """Returns a hash of all that decides `pairs()`; cheap: every start asks."""
        ...

    def pairs(self) -> Pairs:
        """Reads the texts. Raises UserError where the user can mend what is wrong."""
        ...

    def name(self, split: str, index: int) -> str:
        """Says which pair of a split that is, for errors."""
        ...


@runtime_checkable
class PairDataset(Protocol):
    """A class of the registry's DATASETS."""

    @classmethod
    def source(cls, config: PairsDataConfig) -> PairSource:
        """Returns the data set that `config` names."""
        ...

    @classmethod
    def prepare(cls, config: PairsDataConfig) -> None:
        """Downloads what is missing, where the data set can."""
        ...


def bring(text: str, form: TextForm) -> str:
    """Brings a text into a form: "A man's hat." is "a man 's hat ." in lower_words."""
    if form is TextForm.WRITTEN:
        return text
    return " ".join(_WORD_OR_MARK.findall(text.lower()))


class Formed:
    """The pairs of a source, brought into a form."""

    def __init__(self, source: PairSource, form: TextForm) -> None:
        self._source, self._form = source, form
        self.description = source.description

    def fingerprint(self) -> str:
        """Returns the source's, and the form with its rule."""
        found = self._source.fingerprint()
        if self._form is TextForm.WRITTEN:
            return found
        return f"{found} {self._form} {_WORD_OR_MARK.pattern}"

    def pairs(self) -> Pairs:
        """Reads the texts."""
        brought = lambda texts: [bring(text, self._form) for text in texts]
        found = self._source.pairs().items()
        return {split: (brought(source), brought(target)) for split, (source, target) in found}

    def name(self, split: str, index: int) -> str:
        """Says which pair of a split that is, for errors."""
        return self._source.name(split, index)


class Sides:
    """Pairs as the token store takes them: each side of each split is a split, `train.source`.

    Args:
      source: the pairs.
      sides: `source`, `target` or both.
    """

    def __init__(self, source: PairSource, sides: tuple[str, ...]) -> None:
        self._source, self._sides = source, sides
        self.description = source.description

    def fingerprint(self) -> str:
        """Returns the source's, and the sides."""
        return f"{self._source.fingerprint()} {' '.join(self._sides)}"

    def documents(self) -> Documents:
        """Returns each text as a document of its own."""
        return {
            f"{split}.{side}": texts
            for split, both in self._source.pairs().items()
            for side, texts in zip(SIDES, both, strict=True)
            if side in self._sides
        }
