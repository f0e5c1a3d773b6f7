"""The config of IMDB, on a data set in the form of TFDS's, which itself needs a network."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from seqmodels.data.datasets.source import quiet
from seqmodels.data.labelled import LabelledData

from seqmodels.config.files import load_config
from seqmodels.data.pipeline import load_data


class ImdbReviews(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Reviews of 1, 21, 41, .. words."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="plain_text")]  # noqa: RUF012

    def _info(self) -> tfds.core.DatasetInfo:
        label = tfds.features.ClassLabel(names=["neg", "pos"])
        features = tfds.features.FeaturesDict({"text": tfds.features.Text(), "label": label})
        return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, Any]]]:
        del dl_manager
        return {split: self._generate_examples() for split in ("train", "test", "unsupervised")}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in range(40):
            label = ("neg", "pos")[index % 2]
            yield index, {"text": " ".join([label] * (1 + 20 * index)), "label": label}


def test_its_features_splits_and_long_reviews(tmp_path: Path) -> None:
    with quiet():
        ImdbReviews(data_dir=str(tmp_path / "tfds")).download_and_prepare(
            file_format="array_record"
        )
    config = load_config("imdb_bilstm")
    places = {"tfds_data_dir": str(tmp_path / "tfds"), "cache_dir": str(tmp_path)}
    config.data = dataclasses.replace(config.data, **places)  # type: ignore[arg-type]
    data = load_data(config)
    assert isinstance(data, LabelledData)
    splits = data.splits
    assert {name: len(split.labels) for name, split in splits.items()} == {
        "train": 36,
        "validation": 4,
        "test": 40,
    }
    assert data.encoding.names == ("neg", "pos")
    np.testing.assert_array_equal(splits["test"].labels, np.arange(40) % 2)
    assert splits["test"].lengths.tolist() == [min(1 + 20 * n, 400) for n in range(40)]
    assert data.encoding.tokenizer.vocab_size == 4  # <unk>, <eos> and two words
