"""The built-in corpus: the language reference that every CPython carries, as a TFDS data set.

`pydoc_data.topics` holds about 80 topics, half a million characters, and differs from one Python
version to the next: the name of the builder's config carries a hash of the documents.

Many topics repeat whole paragraphs of others ('attribute-access' stands word for word in
'specialnames'), so a random split would test on text that was trained on. Held out are topics that
share no paragraph with any topic of another split.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import filelock
import tensorflow_datasets as tfds

from seqmodels.config.data import TextDataConfig
from seqmodels.data.datasets.source import Documents, TextSource, hash_documents, quiet

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
MIN_PARAGRAPH = 60
"""Characters from which a paragraph is long enough that to share it is to leak it."""

_log = logging.getLogger(__name__)


def paragraphs(text: str) -> set[str]:
    """Returns the paragraphs of at least MIN_PARAGRAPH characters, white space normalised."""
    normalised = (" ".join(part.split()) for part in re.split(r"\n[ \t]*\n", text))
    return {part for part in normalised if len(part) >= MIN_PARAGRAPH}


def split_topics(topics: Mapping[str, str]) -> Documents:
    """Cuts topics into train, validation and test.

    The held-out topics are fixed by name. Should a Python to come let one of them share a paragraph
    with another split, it is trained on instead, and a warning says so.

    Returns:
      Documents by split, in the order of the topics' names.
    """
    wanted = {"validation": set(VALIDATION_TOPICS), "test": set(TEST_TOPICS)}
    names = {split: sorted(kept & topics.keys()) for split, kept in wanted.items()}
    names["train"] = sorted(topics.keys() - wanted["validation"] - wanted["test"])
    content = {name: paragraphs(text) for name, text in topics.items()}
    while leaks := _find_leaks(names, content):
        for split, name in leaks:
            _log.warning("python_docs: %r repeats text of another split: now in train", name)
            names[split].remove(name)
            names["train"] = sorted([*names["train"], name])
    order = ("train", "validation", "test")
    return {split: [_document(topics[name]) for name in names[split]] for split in order}


def _find_leaks(
    names: Mapping[str, list[str]], content: Mapping[str, set[str]]
) -> list[tuple[str, str]]:
    """Returns split and name of every held-out topic that shares a paragraph with another split."""
    return [
        (split, name)
        for split in ("validation", "test")
        for name in names[split]
        if any(content[name] & content[o] for s in names if s != split for o in names[s])
    ]


def _document(text: str) -> str:
    # The blank line behind it keeps the next topic's heading apart in the stream.
    return text.strip("\n") + "\n\n"


class PythonDocs(tfds.core.GeneratorBasedBuilder):
    """One example a topic, in the order of the topics' names; needs no TensorFlow, no network."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "Split by topic."}

    def __init__(self, *, documents: Documents | None = None, **kwargs: Any) -> None:
        self._documents = _read_documents() if documents is None else documents
        name = f"topics_{hash_documents(self._documents)[:16]}"
        kwargs["config"] = tfds.core.BuilderConfig(name=name, description="pydoc_data.topics")
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="The language reference that CPython carries for help().",
            features=tfds.features.FeaturesDict({"text": tfds.features.Text()}),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, Any]]]:
        del dl_manager
        return {split: self._generate_examples(split) for split in self._documents}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, str]]]:
        for index, text in enumerate(self._documents[split]):
            yield index, {"text": text}

    @classmethod
    def source(cls, config: TextDataConfig, cache: Path) -> TextSource:
        """Returns the corpus of the running Python, prepared under `cache`."""
        del config
        return _PythonDocsSource(cache / "tfds")

    @classmethod
    def prepare(cls, config: TextDataConfig) -> None:
        """Nothing to download."""
        del config


def _read_documents() -> Documents:
    from pydoc_data.topics import topics  # half a megabyte of text: read when asked for

    return split_topics(topics)


class _PythonDocsSource:
    def __init__(self, data_dir: Path) -> None:
        self._data_dir, self._original = data_dir, _read_documents()
        self.description = "pydoc_data.topics of the running Python"

    def fingerprint(self) -> str:
        return hash_documents(self._original)

    def documents(self) -> Documents:
        self._data_dir.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self._data_dir / "python_docs.lock"):
            # Whatever a damaged file makes TFDS raise: the text is at hand, so write it again.
            with contextlib.suppress(Exception):
                if self._read() == self._original:
                    return self._original
            with quiet():
                damaged = PythonDocs(documents=self._original, data_dir=str(self._data_dir))
            shutil.rmtree(damaged.data_path, ignore_errors=True)
            return self._read()

    def _read(self) -> Documents:
        with quiet():
            builder: Any = PythonDocs(documents=self._original, data_dir=str(self._data_dir))
            download = tfds.download.DownloadConfig(try_download_gcs=False)
            builder.download_and_prepare(file_format="array_record", download_config=download)
            sources = {split: builder.as_data_source(split=split) for split in self._original}
            return {
                split: [example["text"].decode() for example in source]
                for split, source in sources.items()
            }
