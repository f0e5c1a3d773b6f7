"""Sounds of a TFDS catalog data set, which TFDS itself cannot open without TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds

from seqmodels.config.files import load_config
from seqmodels.data.datasets.prepared import quiet, sounds_without_tensorflow
from tests.data.sets import mistake, open_columns
from tests.opening import load

COMMAND = np.array([0, 1, -8192, 8191] * 500, np.int16)
REAL = {"train_split": "train[1:]", "validation_split": "validation[1:]"}


class Commands(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """The form of speech_commands, and forms of sounds that other data sets have."""

    VERSION = tfds.core.Version("0.0.3")

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "audio": tfds.features.Audio(file_format="wav", sample_rate=16_000, dtype=np.int16),
            "wide": tfds.features.Audio(sample_rate=8_000),
            "bare": tfds.features.Audio(dtype=np.float32),
            "label": tfds.features.ClassLabel(names=["go", "_silence_"]),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, Any]]]:
        del dl_manager
        return {split: self._generate_examples(split) for split in ("train", "validation", "loud")}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in range(4):
            samples = COMMAND[: 2000 if index else 0] * index
            wide = samples.astype(np.int64) * (8 if split == "loud" else 1)
            bare = samples.astype(np.float32)
            label = index % 2
            yield index, {"audio": samples, "wide": wide, "bare": bare, "label": label}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tfds")
    with quiet(), sounds_without_tensorflow(), pytest.MonkeyPatch.context() as patch:
        # What TFDS writes where there is TensorFlow.
        patch.setattr(tfds.features.Audio, "dtype", property(lambda self: self.np_dtype))
        Commands(data_dir=str(path)).download_and_prepare(file_format="array_record")
    return path


def opened(root: Path, columns: dict[str, str], **fields: Any) -> Any:
    settings = {"name": "tfds:commands", "test_split": None, **fields}
    return open_columns(columns=columns, tfds_data_dir=str(root), **settings)


def test_sounds_with_a_class_each(root: Path) -> None:
    columns = {"inputs": "audio", "targets": "label"}
    dataset = opened(root, columns, **REAL)
    assert dataset.classes("label") == ("go", "_silence_") and dataset.classes("audio") is None
    sounds = dataset.splits()["train"]["audio"]
    assert [(sound.sample_rate, sound.samples.dtype) for sound in sounds] == [(16_000, "f4")] * 3
    for index, sound in enumerate(sounds, 1):
        np.testing.assert_array_equal(sound.samples, COMMAND.astype("f4") * index / 2**15)
    whole = load_config("speech_commands")
    parts = {"name": "tfds:commands", "tfds_data_dir": str(root), "cache_dir": str(root / "cache")}
    parts |= {"test_split": None, **REAL}
    data = load(dataclasses.replace(whole, data=dataclasses.replace(whole.data, **parts)))
    assert data.features["targets"].names() == ("go", "_silence_")
    assert data.splits["train"].lengths("inputs").tolist() == [1 + (2000 - 400) // 160] * 3


def test_forms_of_sounds(root: Path) -> None:
    for name, columns, fields, expected in (
        ("an empty one", "audio", {}, "example 0 of commands: audio is empty: it has no sample"),
        ("no rate", "bare", {}, "commands states no sample rate of bare"),
        (
            "more than 16 bits",
            "wide",
            {"train_split": "loud[2:]"},
            "data.train_split=loud[2:]: example 0 of commands has a sample of more than 16 bits",
        ),
    ):
        found = opened(root, {"inputs": columns}, **fields)
        assert expected in mistake(found.splits), name
    wide = opened(root, {"inputs": "wide"}, **REAL)
    sound = wide.splits()["train"]["wide"][0]
    np.testing.assert_array_equal(sound.samples, COMMAND.astype("f4") / 2**15)
