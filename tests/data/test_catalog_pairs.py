"""Pairs of a TFDS catalog data set in array_record form, as of a translation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow_datasets as tfds

from seqmodels.config.data import PairsDataConfig
from seqmodels.config.errors import UserError
from seqmodels.data.datasets.catalog_pairs import CatalogPairs
from seqmodels.data.datasets.source import quiet

PAIRS = {
    "train": [("ein Hund", "a dog"), (" zwei Katzen\n", "two cats"), ("Öl", "oil")],
    "validation": [("drei", "three")],
    "odd": [("vier", "four"), ("fünf", "  ")],
}


class TinyPairs(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """What TFDS makes of a translation: a text a language, and none beside."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.Translation(languages=("de", "en"))
        return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, Any]]]:
        del dl_manager
        return {split: self._generate_examples(split) for split in PAIRS}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, str]]]:
        for index, (german, english) in enumerate(PAIRS[split]):
            yield index, {"de": german, "en": english}


def prepare_pairs(path: Path) -> Path:
    with quiet():
        TinyPairs(data_dir=str(path)).download_and_prepare(file_format="array_record")
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_pairs(tmp_path_factory.mktemp("tfds"))


def read(root: Path, **fields: Any) -> Any:
    settings = {
        "name": "tfds_pairs:tiny_pairs",
        "tfds_data_dir": str(root),
        "source_column": "de",
        "target_column": "en",
        "test_split": None,
        **fields,
    }
    return CatalogPairs.source(PairsDataConfig(**settings))


def test_the_texts_of_both_sides(root: Path) -> None:
    source = read(root)
    assert source.pairs() == {
        "train": (["ein Hund", "zwei Katzen", "Öl"], ["a dog", "two cats", "oil"]),
        "validation": (["drei"], ["three"]),
    }
    assert source.name("train", 2) == "example 2 of the train split of tiny_pairs"
    turned = read(root, source_column="en", target_column="de")
    assert turned.pairs()["validation"] == (["three"], ["drei"])
    assert turned.fingerprint() != source.fingerprint() == read(root).fingerprint()
    part = read(root, train_split="train[1:]+validation", validation_split="train[:1]")
    assert part.pairs()["train"][1] == ["two cats", "oil", "three"]


MISTAKES = {
    "no such feature": (
        {"target_column": "enn"},
        "data.target_column=enn: tiny_pairs has de, en; did you mean 'en'?",
    ),
    "an empty text": (
        {"validation_split": "odd"},
        "data.validation_split=odd: example 1 of tiny_pairs has no en",
    ),
    "no such split": ({"train_split": "trian"}, "data.train_split=trian: tiny_pairs has no 'tri"),
    "not prepared": ({"name": "tfds_pairs:wmt"}, "data.name=tfds_pairs:wmt: not prepared in "),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_line(root: Path, name: str) -> None:
    fields, expected = MISTAKES[name]
    with pytest.raises(UserError) as raised:
        read(root, **fields).pairs()
    assert str(raised.value).startswith(expected) and "\n" not in str(raised.value)
