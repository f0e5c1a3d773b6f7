"""`tags`: a label for each step of the inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.features import TagsConfig, TokenizerKind, TokensConfig, ValuesConfig
from seqmodels.config.tasks import TaggingConfig
from seqmodels.data.features.tags import Tags
from tests.data.sets import experiment, mistake, shown, tables
from tests.opening import load

ROWS = [
    {"text": "a dog runs", "tags": ["det", "noun", "verb"]},
    {"text": "dogs run", "tags": ["noun", "verb"]},
    {"text": "dogs", "tags": ["noun"]},
    {"text": "run a dog run", "tags": ["verb", "det", "noun", "verb"]},
]


def tagged(folder: Path, ending: str = "jsonl", rows: Any = ROWS, held: Any = ROWS[:2]) -> Any:
    inputs = TokensConfig(tokenizer=TokenizerKind.WORD)
    paths = tables(folder, ending, train=rows, validation=held)
    return experiment(TaggingConfig(), 1, inputs=inputs, targets=TagsConfig(), **paths)


def whole(config: Any, split: str = "train") -> tuple[Any, Any]:
    """The data, and all rows of a split."""
    config.data.max_shapes = 1
    data = load(config)
    ((batch, _),) = data.rows(split, config.evaluation, 0).batches(1)
    return data, batch


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_each_step_has_its_label(tmp_path: Path, ending: str) -> None:
    data, batch = whole(tagged(tmp_path, ending))
    assert data.features["targets"].names() == ("det", "noun", "verb")
    assert data.features["targets"].summary() == "3 labels"
    assert batch.targets.tolist() == [[0, 1, 2, 0], [1, 2, 0, 0], [1, 0, 0, 0], [2, 0, 1, 2]]
    assert batch.segment_ids.sum(axis=1).tolist() == [3, 2, 1, 4]
    np.testing.assert_array_equal(batch.loss_weights, batch.segment_ids)
    assert batch.target_segment_ids is None and batch.targets.dtype == np.int32
    assert shown(data, batch) == [f"{' '.join(row['tags'])}\n{row['text']}" for row in ROWS]


def test_steps_of_a_series_have_labels_too(tmp_path: Path) -> None:
    rows = [{"values": list(range(n)), "tags": ["low", "high"] * n} for n in range(1, 5)]
    for row in rows:
        row["tags"] = row["tags"][: len(row["values"])]
    paths = tables(tmp_path, train=rows, validation=rows)
    config = experiment(TaggingConfig(), inputs=ValuesConfig(), targets=TagsConfig(), **paths)
    _, batch = whole(config)
    assert batch.targets[3].tolist() == [1, 0, 1, 0] and batch.inputs.shape == (4, 4, 1)
    np.testing.assert_array_equal(batch.loss_weights, batch.segment_ids)


@pytest.mark.parametrize("tags", [["det"], ["det", "noun", "verb"]], ids=["fewer", "more"])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_as_many_labels_as_steps(tmp_path: Path, split: str, tags: list[str]) -> None:
    odd = [*ROWS, {"text": "a dog", "tags": tags}]
    config = tagged(tmp_path, "tsv", **{"rows" if split == "train" else "held": odd})
    line = mistake(lambda: load(config))
    where = f"{tmp_path}/{split}.tsv, line 6"
    assert line == f"{where}: 2 steps of the inputs, but {len(tags)} of the targets"


def test_a_label_that_the_training_split_lacks_is_named_with_its_line(tmp_path: Path) -> None:
    for tag, near in (("nuon", "did you mean 'noun'?"), ("X", "one of: det, noun, verb")):
        config = tagged(tmp_path, held=[ROWS[0], {"text": "a dog", "tags": ["det", tag]}])
        assert mistake(lambda config=config: load(config)) == (
            f"{tmp_path}/validation.jsonl, line 2: label {tag!r} is not known; {near}"
        )


def test_names_in_a_list_may_have_spaces(tmp_path: Path) -> None:
    rows = [{"text": "a b", "tags": ["proper noun", 2]}, {"text": "c", "tags": [10]}]
    data, batch = whole(tagged(tmp_path, rows=rows, held=rows))
    assert data.features["targets"].names() == ("2", "10", "proper noun")
    assert batch.targets.tolist() == [[2, 0], [1, 0]]


def test_a_text_that_is_cut_keeps_the_labels_of_its_tokens(tmp_path: Path) -> None:
    config = tagged(tmp_path)
    config.data.inputs.max_length, config.data.inputs.cut_long = 2, True
    data, batch = whole(config)
    assert batch.inputs.shape == batch.targets.shape == (4, 2)
    assert batch.target_segment_ids is None
    expected = ["det noun\na dog", "noun verb\ndogs run", "noun\ndogs", "verb det\nrun a"]
    assert shown(data, batch) == expected
    assert data.description()["splits"]["train"] == {"examples": 4, "tokens": 7, "labels": 7}
    assert "2 of 4 texts of the train split are cut to data.inputs.max_length=2" in data.notes[0]
    config.data.inputs.cut_long = False
    assert "line 1 has 3 tokens" in mistake(lambda: load(config)), "of the validation split"


def test_a_token_that_is_added_has_no_label(tmp_path: Path) -> None:
    config = tagged(tmp_path)
    config.data.inputs.class_token = True
    assert mistake(lambda: load(config)) == (
        "data.inputs: a tokenizer that adds tokens to a text cannot be used where targets have a "
        "label for each step"
    )


def test_a_run_keeps_its_labels(tmp_path: Path) -> None:
    before = load(tagged(tmp_path / "first"))
    rows = [{"text": "dogs", "tags": ["noun"]}]
    data, batch = whole(tagged(tmp_path / "second", rows=rows, held=rows))
    assert batch.targets.tolist() == [[0]]
    config = tagged(tmp_path / "second", rows=rows, held=rows)
    data = load(config, before.features)
    assert data.features["targets"].names() == ("det", "noun", "verb")
    assert data.splits["train"].columns["targets"].flat.tolist() == [1]


def test_labels_of_a_line() -> None:
    tags = Tags(TagsConfig(), ("noun", "verb"))
    assert tags.read(" verb  noun ").tolist() == [1, 0]
    for line, expected in ((" ", "has no label"), ("nun", "'nun' is not known; did you mean 'no")):
        with pytest.raises(UserError, match=expected):
            tags.read(line)
    part = tags.batch([tags.read("verb noun verb"), tags.read("verb")], 3)
    assert part.values.shape == (3, 8) and part.mask.tolist() == [1, 1, 0]
    assert part.segment_ids is not None and part.segment_ids.sum(axis=1).tolist() == [3, 1, 0]
    assert [tags.show(part.values[row], part.segment_ids[row]) for row in range(3)] == [
        *("verb noun verb", "verb", "")
    ]
    saved = json.loads(json.dumps(tags.to_json()))
    assert Tags.from_json(saved, tags.config).names() == tags.names()
    with pytest.raises(TypeError, match="no model reads a feature of kind tags"):
        _ = tags.input
