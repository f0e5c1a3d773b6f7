"""The built-in corpus: the language reference that every CPython carries, as a TFDS data set.

`pydoc_data.topics` holds about 80 topics, half a million characters, and differs from one Python
version to the next: the name of the builder's config carries a hash of the documents.

Many topics repeat whole paragraphs of others ('attribute-access' is part of 'specialnames', word
for word), so a random split would test on text that was trained on. Held out are topics that
share no paragraph with any topic of another split.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from seqmodels.config.data import DataConfig
from seqmodels.data.datasets.built import BuiltSource, BuiltText, hold_out
from seqmodels.data.datasets.dataset import Documents, hash_documents
from seqmodels.data.store import cache_directory

VALIDATION_TOPICS = (
    "assert",
    "attribute-references",
    "booleans",
    "del",
    "dict",
    "exprlists",
    "import",
    "lambda",
    "objects",
    "operator-summary",
    "typesfunctions",
    "typesmapping",
)
TEST_TOPICS = (
    "bltin-type-objects",
    "comparisons",
    "formatstrings",
    "global",
    "in",
    "numbers",
    "pass",
    "slicings",
    "truth",
    "typesmodules",
    "yield",
)
_log = logging.getLogger(__name__)


def split_topics(topics: Mapping[str, str]) -> Documents:
    """Assigns topics to train, validation and test.

    The held-out topics are fixed by name. If one of them shares a paragraph with another split in a
    later Python, it is trained on instead, and a warning says so.

    Returns:
      Documents by split, in the order of the topics' names.
    """
    wanted = {"validation": set(VALIDATION_TOPICS), "test": set(TEST_TOPICS)}
    names, moved = hold_out(topics, wanted)
    for name in moved:
        _log.warning("python_docs: %r repeats text of another split: now in train", name)
    return {split: [_document(topics[name]) for name in kept] for split, kept in names.items()}


def _document(text: str) -> str:
    # The blank line at its end separates it from the next topic's heading in the stream.
    return text.strip("\n") + "\n\n"


class PythonDocs(BuiltText):
    """One example per topic, in the order of the topics' names. Column: text."""

    about = "The language reference that CPython carries for help()."
    unit = "topics"

    @classmethod
    def open(cls, config: DataConfig) -> BuiltSource:
        """Returns the corpus of the running Python, prepared in the cache."""
        from pydoc_data.topics import topics  # half a megabyte of text: read when asked for

        documents = split_topics(topics)
        return BuiltSource(
            cls,
            hash_documents(documents),
            lambda: documents,
            documents.__eq__,
            "pydoc_data.topics of the running Python",
            cache_directory(config) / "tfds",
        )

    @classmethod
    def prepare(cls, config: DataConfig) -> None:
        """Does nothing: there is nothing to download."""
        del config
