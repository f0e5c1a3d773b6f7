"""Columns of a TFDS catalog data set in array_record form: texts, classes and images."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from seqmodels.config.files import load_config
from seqmodels.data.datasets.prepared import quiet
from tests.data.helpers import data_root
from tests.data.sets import mistake, open_columns
from tests.opening import load

PAIRS = {
    "train": [("ein Hund", "a dog"), (" zwei Katzen\n", "two cats"), ("Öl", "oil")],
    "validation": [("drei", "three")],
    "odd": [("vier", "four"), ("fünf", "  ")],
}


class TinyPairs(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """The form of a translation in TFDS: one text per language, and nothing else."""

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


def png(mode: str, size: tuple[int, int], color: Any) -> io.BytesIO:
    """A file of one color; TFDS itself would need TensorFlow to write one."""
    file = io.BytesIO()
    Image.new(mode, size, color).save(file, "png")
    file.seek(0)
    return file


class Signs(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Images of several sizes with a class, a text, a number and a map of another depth."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "gray": tfds.features.Image(shape=(4, 5, 1)),
            "depth": tfds.features.Image(shape=(4, 5, 1), dtype=np.uint16, encoding_format="png"),
            "label": tfds.features.ClassLabel(names=["stop", "go"]),
            "caption": tfds.features.Text(),
            "id": tfds.features.Scalar(dtype=np.int32),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, Any]]]:
        del dl_manager
        return {name: self._generate_examples(name) for name in ("train", "validation", "unknown")}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in range(5):
            yield (
                index,
                {
                    "image": png("RGB", (5 + index, 4), (index, 50, 100)),
                    "gray": png("L", (5, 4), 10 * index),
                    "depth": png("I;16", (5, 4), 40_000),
                    "label": -1 if split == "unknown" else index % 2,
                    "caption": f"{split} {index}",
                    "id": index,
                },
            )


class Captioned(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """The form of coco_captions: images with a list of captions each, and objects."""

    VERSION = tfds.core.Version("1.1.0")

    def _info(self) -> tfds.core.DatasetInfo:
        text, number = tfds.features.Text(), np.int64
        features = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "image/filename": text,
            "captions": tfds.features.Sequence({"id": number, "text": text}),
            "words": tfds.features.Sequence(text),
            "objects": tfds.features.Sequence({"id": number}),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, Any]]]:
        del dl_manager
        return {split: self._generate_examples(split) for split in ("train", "val", "none", "bare")}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for index, count in enumerate((2, 1, 0 if split == "none" else 3)):
            texts = [f"{split} {index} {n}" for n in range(count)]
            yield (
                index,
                {
                    "image": png("RGB", (6, 4), (40 * index, 5, 6)),
                    "image/filename": f"{index}.jpg",
                    "captions": [{"id": n, "text": text} for n, text in enumerate(texts)],
                    "words": ["" if split == "bare" else "word"],
                    "objects": [{"id": 1}],
                },
            )


def prepare_sets(path: Path) -> Path:
    with quiet():
        Captioned(data_dir=str(path)).download_and_prepare(file_format="array_record")
        TinyPairs(data_dir=str(path)).download_and_prepare(file_format="array_record")
        Signs(data_dir=str(path)).download_and_prepare(file_format="array_record")
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_sets(tmp_path_factory.mktemp("tfds"))


def opened(root: Path, columns: Any = None, **fields: Any) -> Any:
    columns = {"source": "de", "targets": "en"} if columns is None else columns
    settings = {"name": "tfds:tiny_pairs", "test_split": None, **fields}
    return open_columns(columns=columns, tfds_data_dir=str(root), **settings)


def test_the_texts_of_both_sides(root: Path) -> None:
    source = opened(root)
    assert source.splits() == {
        "train": {"de": ["ein Hund", "zwei Katzen", "Öl"], "en": ["a dog", "two cats", "oil"]},
        "validation": {"de": ["drei"], "en": ["three"]},
    }
    assert source.locate("train", 2) == "example 2 of the train split of tiny_pairs"
    assert source.classes("en") is None
    turned = opened(root, {"source": "en", "targets": "de"})
    assert turned.splits()["validation"] == {"en": ["three"], "de": ["drei"]}
    assert list(turned.splits()["validation"]) == ["en", "de"]
    assert turned.fingerprint() != source.fingerprint() == opened(root).fingerprint()
    part = opened(root, train_split="train[1:]+validation", validation_split="train[:1]")
    assert part.splits()["train"]["en"] == ["two cats", "oil", "three"]
    joined = opened(root, {"inputs": "de,en"}).splits()["train"]["de,en"]
    assert joined == ["ein Hund\na dog", "zwei Katzen\n\ntwo cats", "Öl\noil"]


SIGNS = {"inputs": "image", "targets": "label", "source": "caption"}


def test_images_classes_and_texts(root: Path) -> None:
    dataset = opened(root, SIGNS, name="tfds:signs")
    splits = dataset.splits()
    assert dataset.classes("label") == ("stop", "go")
    assert dataset.classes("image") is None and dataset.classes("caption") is None
    images = splits["train"]["image"]
    assert len(images) == 5 and images.shape == (None, None, 3) and not images.is_generated
    found = images.read(np.array([3, 0]))
    assert [image.shape for image in found] == [(4, 8, 3), (4, 5, 3)]
    assert (found[0] == (3, 50, 100)).all() and (found[1] == (0, 50, 100)).all()
    labels = splits["validation"]["label"]
    assert labels.tolist() == [0, 1, 0, 1, 0] and labels.dtype == np.int32
    assert splits["train"]["caption"] == [f"train {i}" for i in range(5)]
    gray = opened(root, {"inputs": "gray"}, name="tfds:signs").splits()["train"]["gray"]
    assert gray.shape == (4, 5, 1)
    np.testing.assert_array_equal(gray.read(np.array([2])), [np.full((4, 5, 1), 20)])


MISTAKES: dict[str, tuple[dict[str, str] | None, dict[str, Any], str]] = {
    "no such feature": (
        {"source": "de", "targets": "enn"},
        {},
        "data.targets.column=enn: tiny_pairs has de, en; did you mean 'en'?",
    ),
    "an empty text": (
        None,
        {"validation_split": "odd"},
        "data.validation_split=odd: example 1 of tiny_pairs has no en",
    ),
    "no such split": (
        None,
        {"train_split": "trian"},
        "data.train_split=trian: tiny_pairs has no 'trian'; did you mean 'train'?",
    ),
    "not prepared": (None, {"name": "tfds:wmt"}, "data.name=tfds:wmt: not prepared in "),
    "a number": (
        {"inputs": "id"},
        {"name": "tfds:signs"},
        "data.inputs.column=id: id is not text, a class, an image or a sound; text, a class, an "
        "image or a sound in signs: caption, depth, gray, image, label",
    ),
    "a class in a text": (
        {"inputs": "caption,label"},
        {"name": "tfds:signs"},
        "data.inputs.column=caption,label: label is not text; text in signs: caption",
    ),
    "a class that is not known": (
        {"targets": "label"},
        {"name": "tfds:signs", "train_split": "unknown"},
        "data.train_split=unknown: example 0 of signs has no class but -1: a split without classes",
    ),
    "two bytes per pixel": (
        {"inputs": "depth"},
        {"name": "tfds:signs"},
        "data.train_split=train: depth of signs has images of 1 channels of uint16; 1 or 3",
    ),
    "nothing": (
        {"inputs": "image"},
        {"name": "tfds:signs", "train_split": "train[5:]"},
        "data.train_split=train[5:]: TFDS rejects it (Paths sequence can not be of 0 length",
    ),
}


def test_mistakes_are_one_line(root: Path) -> None:
    for name, (columns, fields, expected) in MISTAKES.items():
        line = mistake(lambda c=columns, f=fields: opened(root, c, **f).splits())
        assert line.startswith(expected), name


def test_an_image_that_cannot_be_read_is_named(root: Path) -> None:
    images = opened(root, SIGNS, name="tfds:signs").splits()["train"]["image"]

    class Damaged:
        def __getitems__(self, rows: list[int]) -> list[dict[str, bytes]]:
            return [{"image": b"no image"} for _ in rows]

    object.__setattr__(images, "examples", Damaged())
    line = mistake(lambda: images.read(np.array([3])))
    assert line == "data.train_split=train: signs, image 3: is not an image that Pillow knows"


def test_glue_and_mnist() -> None:
    tfds_dir = data_root() / "tfds"
    texts = {"inputs": "sentence", "targets": "label"}
    few = {"name": "tfds:glue/sst2", "train_split": "train[:500]"}
    glue = opened(tfds_dir, texts, **few)
    splits = glue.splits()
    assert {name: len(columns["label"]) for name, columns in splits.items()} == {
        "train": 500,
        "validation": 872,
    }
    assert glue.classes("label") == ("negative", "positive")
    for columns, more, expected in (
        ({"inputs": "sentences"}, {}, "idx, label, sentence; did you mean 'sentence'?"),
        ({"inputs": "idx"}, {}, "is not text, a class, an image or a sound; text, a clas"),
        (texts, {"train_split": "test[:9]"}, "data.train_split=test[:9]: example 0 of glue/sst2 h"),
    ):
        assert expected in mistake(
            lambda c=columns, m=more: opened(tfds_dir, c, **few | m).splits()
        )
    few = {"name": "tfds:mnist", "train_split": "train[:40]", "validation_split": "test[:5]"}
    mnist = opened(tfds_dir, {"inputs": "image", "targets": "label"}, **few)
    images, labels = mnist.splits()["train"].values()
    assert images.shape == (28, 28, 1) and len(images) == 40
    assert labels[:6].tolist() == [4, 1, 0, 7, 8, 1]
    assert mnist.classes("label") == tuple("0123456789")
    pixels = np.stack(images.read(np.arange(40)))
    assert pixels.shape == (40, 28, 28, 1) and pixels.std() > 50
    line = mistake(lambda: opened(tfds_dir, {"inputs": "image"}, name="tfds:mnits"))
    assert line.endswith("did you mean tfds:mnist?")


class ImdbReviews(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """In the form of TFDS's own, which needs a network: reviews of 1, 21, 41, .. words."""

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


def test_imdb_as_its_config_reads_it(tmp_path: Path) -> None:
    """Features, splits and long reviews."""
    with quiet():
        ImdbReviews(data_dir=str(tmp_path)).download_and_prepare(file_format="array_record")
    config = load_config("imdb_bilstm")
    config.data.tfds_data_dir, config.data.cache_dir = str(tmp_path), str(tmp_path / "cache")
    data = load(config)
    counts = {name: sizes["examples"] for name, sizes in data.description()["splits"].items()}
    assert counts == {"train": 36, "validation": 4, "test": 40}
    assert data.features["targets"].names() == ("neg", "pos")
    test = data.splits["test"]
    np.testing.assert_array_equal(test.columns["targets"].numbers, np.arange(40) % 2)
    assert test.lengths("inputs").tolist() == [min(1 + 20 * n, 400) for n in range(40)]
    assert data.spec.inputs.vocab_size == 4  # <unk>, <eos> and two words


def captioned(root: Path, columns: Any, validation_split: str = "val") -> Any:
    name = "tfds:captioned"
    return opened(root, columns, name=name, validation_split=validation_split)


def test_an_image_with_several_captions_is_as_many_rows(root: Path) -> None:
    columns = {"source": "image", "targets": "captions/text", "inputs": "image/filename"}
    found = captioned(root, columns)
    split = found.splits()["validation"]
    owners = [0, 0, 1, 2, 2, 2]
    captions = ["val 0 0", "val 0 1", "val 1 0", "val 2 0", "val 2 1", "val 2 2"]
    assert split["captions/text"] == captions
    assert split["image/filename"] == [f"{n}.jpg" for n in owners]
    images = split["image"]
    assert len(images) == 6
    assert [int(x[0, 0, 0]) for x in images.read(np.array([5, 2, 1]))] == [80, 40, 0]
    assert found.locate("validation", 4) == "example 2 of the validation split of captioned"
    words = captioned(root, {"targets": "words", "source": "image"}).splits()["train"]
    assert words["words"] == ["word"] * 3 and len(words["image"]) == 3


def test_lists_that_cannot_be_rows_are_refused(root: Path) -> None:
    image = {"source": "image"}
    for columns, split, line in [
        ({"targets": "captions/txt"}, "val", "image, image/filename, objects, words; did you mean"),
        ({"targets": "captions/id"}, "val", "objects, words; did you mean 'captions/text'?"),
        (
            {"targets": "objects"},
            "val",
            "objects is not text, a class, an image or a sound; text, a cl",
        ),
        ({"targets": "captions/text"}, "none", "example 2 of captioned has no captions/text"),
        ({"targets": "words"}, "bare", "example 0 of captioned has an empty text in words"),
        ({"targets": "captions/text", "inputs": "words"}, "val", "a list of texts, and so is"),
    ]:
        assert line in mistake(captioned(root, {**image, **columns}, split).splits), columns
