from __future__ import annotations

import logging
from pathlib import Path
from pydoc_data.topics import topics

import pytest
import tensorflow_datasets as tfds

from seqmodels.data.datasets.built import paragraphs
from seqmodels.data.datasets.python_docs import (
    TEST_TOPICS,
    VALIDATION_TOPICS,
    PythonDocs,
    split_topics,
)
from tests.data.sets import open_text


def test_no_paragraph_is_shared_between_splits() -> None:
    splits = split_topics(topics)
    seen = {name: set().union(*map(paragraphs, texts)) for name, texts in splits.items()}
    assert not seen["train"] & seen["validation"]
    assert not seen["train"] & seen["test"]
    assert not seen["validation"] & seen["test"]
    assert sum(map(len, splits.values())) == len(topics)


def test_held_out_topics_are_the_fixed_ones(caplog: pytest.LogCaptureFixture) -> None:
    splits = split_topics(topics)
    assert not caplog.records  # none of them leaks on this Python
    assert len(splits["validation"]) == len(VALIDATION_TOPICS)
    assert len(splits["test"]) == len(TEST_TOPICS)
    assert not set(VALIDATION_TOPICS) & set(TEST_TOPICS)
    total = sum(len(text) for texts in splits.values() for text in texts)
    for name in ("validation", "test"):
        assert 0.07 < sum(map(len, splits[name])) / total < 0.11
        assert set("".join(splits[name])) <= set("".join(splits["train"]))


def test_documents_are_whole_topics() -> None:
    splits = split_topics(topics)
    assert splits["validation"][0] == topics["assert"].strip("\n") + "\n\n"
    assert {text.strip() for texts in splits.values() for text in texts} == {
        text.strip() for text in topics.values()
    }


def test_a_held_out_topic_that_leaks_is_trained_on(caplog: pytest.LogCaptureFixture) -> None:
    shared = (
        "A paragraph that is quite long enough to count, for it has\nmore than sixty characters."
    )
    made_up = {
        "assert": f"Assert\n\n{shared}\n",
        "del": "Del\n\nSomething else altogether, which stands nowhere but in this topic, alone.\n",
        "yield": f"Yield\n\n  {' '.join(shared.split())}  \n",
        "pass": "Pass\n",
        "other": "Other\n",
    }
    with caplog.at_level(logging.WARNING):
        splits = split_topics(made_up)
    assert [record.args for record in caplog.records] == [("assert",), ("yield",)]
    assert splits == {
        "train": [made_up[name].strip("\n") + "\n\n" for name in ("assert", "other", "yield")],
        "validation": [made_up["del"] + "\n"],
        "test": [made_up["pass"] + "\n"],
    }


def test_paragraphs_ignore_white_space_and_short_lines() -> None:
    line = "word " * 12
    assert paragraphs(f"short\n\n{line}\n   {line}\n \t\n{line}") == {
        (line * 2).strip(),
    }
    assert paragraphs("x" * 60) == {"x" * 60}
    assert paragraphs("x" * 59) == set()


def test_prepared_data_set_is_read_back_and_mended(tmp_path: Path) -> None:
    source = open_text("python_docs", cache_dir=str(tmp_path))
    documents = split_topics(topics)
    columns = {split: {"text": texts} for split, texts in documents.items()}
    assert source.splits() == columns
    (info,) = tmp_path.glob("tfds/python_docs/topics_*/1.0.0/dataset_info.json")
    builder = tfds.builder_from_directory(str(info.parent))
    assert builder.info.file_format.value == "array_record"
    assert [e["text"].decode() for e in builder.as_data_source(split="test")] == documents["test"]
    (record,) = info.parent.glob("*-train.array_record-*")
    for damage in (record.read_bytes()[:-999], b"", None):
        if damage is None:
            record.unlink()
        else:
            record.write_bytes(damage)
        assert source.splits() == columns


def test_config_name_includes_a_hash_of_the_documents(tmp_path: Path) -> None:
    documents = split_topics(topics)
    names = set()
    for changed in (documents, {**documents, "test": documents["test"][::-1]}):
        names.add(PythonDocs(documents=changed, data_dir=str(tmp_path)).builder_config.name)
    assert len(names) == 2


def test_preparing_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert open_text("python_docs", cache_dir=str(tmp_path)).splits()
    assert capfd.readouterr() == ("", "")
