"""Streams of text of TFDS catalog data sets, and what is common to all of the catalog."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds

from seqmodels.config.data import TextDataConfig
from seqmodels.data.datasets.catalog import Catalog
from seqmodels.data.datasets.prepared import data_dir, prepared_names, quiet
from seqmodels.data.datasets.python_docs import PythonDocs
from tests.data import sets
from tests.data.helpers import CHINESE, data_root
from tests.data.sets import open_text

DOCUMENTS = {"train": ["one\n", CHINESE, "three\n"], "validation": ["four\n"], "test": ["five\n"]}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TFDS directory with one prepared data set that has a config: python_docs/topics_..."""
    path = tmp_path_factory.mktemp("tfds")
    with quiet():
        builder = PythonDocs(documents=DOCUMENTS, data_dir=str(path))
        builder.download_and_prepare(file_format="array_record")
    return path


@pytest.fixture
def name(root: Path) -> str:
    (name,) = prepared_names(root)
    return name


def read(root: Path, name: str, **data: Any) -> dict[str, list[str]]:
    splits = open_text(f"tfds:{name}", tfds_data_dir=str(root), **data).splits()
    (column,) = splits["train"]
    assert column == data.get("feature", "text")
    return {split: columns[column] for split, columns in splits.items()}


def mistake(root: Path, name: str, **data: Any) -> str:
    return sets.mistake(lambda: read(root, name, **data))


def test_documents_come_in_their_order(root: Path, name: str) -> None:
    assert read(root, name) == DOCUMENTS
    assert read(root, f"{name}:1.0.0") == DOCUMENTS


def test_split_expressions_are_joined_in_order(root: Path, name: str) -> None:
    splits = read(
        root, name, train_split="test+train[1:]", validation_split="train[:1]", test_split=None
    )
    assert splits == {"train": ["five\n", CHINESE, "three\n"], "validation": ["one\n"]}


def test_fingerprint_follows_settings(root: Path, name: str) -> None:
    def fingerprint(**data: Any) -> str:
        return open_text(f"tfds:{name}", tfds_data_dir=str(root), **data).fingerprint()

    assert fingerprint() == fingerprint()
    assert len({fingerprint(), fingerprint(test_split=None), fingerprint(train_split="test")}) == 3


def test_unprepared_says_how_and_what_is_there(root: Path, name: str) -> None:
    message = mistake(root, "wiki40b")
    assert message.startswith(f"data.name=tfds:wiki40b: not prepared in {root} ")
    assert f"(prepared there: {name})" in message
    assert "launch.py prepare" in message and "download_and_prepare" in message
    assert "(nothing is prepared there)" in mistake(root / "none", "wiki40b")
    assert mistake(root, "python_docs").endswith(f"did you mean tfds:{name}?")
    assert mistake(root, name[:-1]).endswith(f"did you mean tfds:{name}?")
    assert "not prepared" in mistake(root, f"{name}:2.0.0")
    assert "must be tfds:NAME" in mistake(root, "../elsewhere")


def test_unknown_feature_and_split_name_those_that_exist(root: Path, name: str) -> None:
    assert mistake(root, name, feature="sentence").endswith("has text; one of: text")
    assert mistake(root, name, feature="texts").endswith("did you mean 'text'?")
    assert mistake(root, name, validation_split="valid").endswith("did you mean 'validation'?")
    assert "data.test_split=train+dev" in mistake(root, name, test_split="train+dev")
    assert "data.train_split=train[:5%" in mistake(root, name, train_split="train[:5%")


class Questions(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Questions, answers that are none, and numbers."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        text, number = tfds.features.Text(), tfds.features.Scalar(dtype=np.int32)
        features = {"question": text, "answer": text, "id": number}
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager
        return {split: self._generate_examples() for split in ("train", "validation")}

    def _generate_examples(self) -> Any:
        for index, (question, answer) in enumerate(
            [("Who?", "I: é"), ("", "No\none"), ("What?", "")]
        ):
            yield index, {"question": question, "answer": answer, "id": index}


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("questions")
    with quiet():
        Questions(data_dir=str(path)).download_and_prepare(file_format="array_record")
    return path


def test_a_document_of_several_features_has_one_line_per_feature(questions: Path) -> None:
    def train(feature: str) -> list[str]:
        return read(questions, "questions", feature=feature, test_split=None)["train"]

    assert train("question") == ["Who?", "", "What?"]  # one alone is as it is
    assert train("question,answer") == ["Who?\nI: é\n", "\nNo\none\n", "What?\n\n"]
    assert train("answer, question") == ["I: é\nWho?\n", "No\none\n\n", "\nWhat?\n"]

    def fingerprint(feature: str) -> str:
        where = {"tfds_data_dir": str(questions)}
        return open_text("tfds:questions", feature=feature, **where).fingerprint()

    names = ("question", "answer", "question,answer", "answer,question")
    assert len(set(map(fingerprint, names))) == len(names)
    assert fingerprint("question, answer") == fingerprint("question,answer")


def test_a_wrong_one_of_several_features_is_named(questions: Path) -> None:
    def line(feature: str) -> str:
        return mistake(questions, "questions", feature=feature, test_split=None)

    assert line("question,anser") == (
        "data.feature=question,anser: questions has answer, id, question; did you mean 'answer'?"
    )
    assert line("x").endswith("one of: answer, question")
    assert line("question,id").endswith("id is not text; text in questions: answer, question")


def test_sst2_is_read_by_its_feature() -> None:
    tfds_dir = data_root() / "tfds"
    splits = read(tfds_dir, "glue/sst2", feature="sentence", train_split="train[:5000]")
    assert {name: len(texts) for name, texts in splits.items()} == {
        "train": 5000,
        "validation": 872,
        "test": 1821,
    }
    assert mistake(tfds_dir, "glue/sst2", feature="sentence,labl").endswith("one of: sentence")
    assert "label is not text" in mistake(tfds_dir, "glue/sst2", feature="sentence,label")


def test_other_file_formats_are_refused(root: Path, name: str, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "copy")
    (info,) = tmp_path.glob("copy/*/*/*/dataset_info.json")
    info.write_text(info.read_text().replace("array_record", "tfrecord"))
    assert "not in array_record form" in mistake(tmp_path / "copy", name)
    info.write_text("{")
    assert "TFDS cannot read it" in mistake(tmp_path / "copy", name)


def test_data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setenv("SEQMODELS_DATA_DIR", str(tmp_path))
    config = TextDataConfig()
    assert data_dir(config) == Path.home() / "tensorflow_datasets"
    (tmp_path / "tfds").mkdir()
    assert data_dir(config) == tmp_path / "tfds"
    assert data_dir(TextDataConfig(tfds_data_dir="elsewhere")) == Path("elsewhere")


CALL = "tfds.builder('wiki40b', data_dir=DIR).download_and_prepare(file_format='array_record')"


REASONS = (
    (ConnectionError("no route\nto host"), "ConnectionError: no route to host"),
    (ModuleNotFoundError("No module named 'tensorflow'"), "its builder needs TensorFlow"),
    (
        tfds.core.registered.DatasetNotFoundError("Available datasets: - abstract_reasoning"),
        "it knows no such data set, or none that needs no TensorFlow",
    ),
)


def test_prepare_that_fails_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Offline:
        def __init__(self, error: Exception) -> None:
            self.error = error

        def download_and_prepare(self, **kwargs: Any) -> None:
            print("Downloading ...")
            raise self.error

    config = TextDataConfig(name="tfds:wiki40b", tfds_data_dir=str(tmp_path))
    for error, reason in REASONS:
        monkeypatch.setattr(tfds, "builder", lambda *args, of=error, **kwargs: Offline(of))
        assert sets.mistake(lambda: Catalog.prepare(config)) == (
            f"data.name=tfds:wiki40b: TFDS cannot prepare it here ({reason}); where it can, do "
            f"{CALL}, and name DIR by data.tfds_data_dir"
        )
        assert capsys.readouterr() == ("", "Downloading ...\n")
    info = tmp_path / "wiki40" / "1.0.0" / "dataset_info.json"
    info.parent.mkdir(parents=True)
    info.write_text("{}")
    line = sets.mistake(lambda: Catalog.prepare(config))
    assert "data_dir; or did you mean 'wiki40', which is in /" in line


def test_prepare_leaves_alone_what_is_prepared(root: Path, name: str) -> None:
    times = lambda: {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    before = times()
    Catalog.prepare(TextDataConfig(name=f"tfds:{name}", tfds_data_dir=str(root)))
    assert times() == before
    assert before


def test_tiny_shakespeare_is_the_original_text() -> None:
    tfds_dir, folder = data_root() / "tfds", data_root() / "data" / "tiny_shakespeare"
    splits = read(tfds_dir, "tiny_shakespeare", validation_split="validation+test", test_split=None)
    text = {name: "".join(parts) for name, parts in splits.items()}
    assert (len(text["train"]), len(text["validation"])) == (1003854, 111540)
    assert text["train"] + text["validation"] == (folder / "input.txt").read_text(encoding="utf-8")
