"""`label`: the classes are those of the training split, or of the data set that names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.features import ImageConfig, LabelConfig, TokenizerKind, TokensConfig
from seqmodels.config.tasks import ClassificationConfig
from seqmodels.data.features.label import EncodedLabels, Label
from tests.data.sets import experiment, mistake, tables
from tests.opening import load

TEXTS = [(f"{'abcd'[n % 4]} b", "xyz"[n % 3]) for n in range(12)]


def rows(pairs: Any) -> list[dict[str, Any]]:
    return [{"text": text, "label": label} for text, label in pairs]


def labelled(folder: Path, train: Any = TEXTS, held_out: Any = TEXTS[:3], **fields: Any) -> Any:
    paths = tables(folder, "tsv", train=rows(train), validation=rows(held_out))
    inputs = TokensConfig(tokenizer=TokenizerKind.WORD, **fields)
    return experiment(ClassificationConfig(), 1, inputs=inputs, targets=LabelConfig(), **paths)


def numbers(data: Any, split: str) -> list[int]:
    return data.splits[split].columns["targets"].numbers.tolist()


def test_classes_are_sorted_whole_numbers_by_their_value(tmp_path: Path) -> None:
    labels = ["10", "b", "9", "-1", "a", "010", "0"]
    data = load(labelled(tmp_path, [("a", name) for name in labels], [("a", "9")]))
    assert data.features["targets"].names() == ("0", "9", "010", "10", "-1", "a", "b")
    assert numbers(data, "train") == [3, 6, 1, 4, 5, 2, 0]
    assert data.features["targets"].summary() == "7 classes"
    assert data.description()["num_classes"] == 7


def test_a_class_that_the_training_split_lacks_is_named_with_its_line(tmp_path: Path) -> None:
    line = mistake(lambda: load(labelled(tmp_path, held_out=[("a", "x"), ("b", "zz")])))
    assert line == (
        f"{tmp_path}/validation.tsv, line 3: class 'zz' is not known; did you mean 'z'?"
    )


def test_a_class_without_a_held_out_example_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = load(labelled(tmp_path, held_out=[("a", "x"), ("b", "x")]))
    notes = [f"class {name!r} has no example in the validation split" for name in "yz"]
    assert data.notes == notes
    assert [record.getMessage() for record in caplog.records] == [f"table: {n}" for n in notes]


def test_all_classes_need_an_example_to_train_on(tmp_path: Path) -> None:
    """Two of them or more, after what is too long was left out."""
    config = labelled(tmp_path, [*TEXTS, ("a b c d", "long")], TEXTS[:3], max_length=3)
    assert mistake(lambda: load(config)) == (
        "data.targets.column=label: class 'long' has no example in the train split; its classes "
        "are x, y, z; the ones that it has are too long"
    )
    config.data.inputs.cut_long = True
    assert load(config).features["targets"].names() == ("long", "x", "y", "z")
    config = labelled(tmp_path, [("a", "x"), ("b", "x")], [("a", "x")])
    assert mistake(lambda: load(config)) == (
        "data.targets.column=label: all examples of the train split are of class 'x'; there must "
        "be two classes or more"
    )


def test_a_run_keeps_its_classes(tmp_path: Path) -> None:
    before = load(labelled(tmp_path / "first"))
    config = labelled(tmp_path / "second", [("a", "z"), ("b", "z")], [("a", "x")])
    data = load(config, before.features)
    assert data.features["targets"].names() == ("x", "y", "z")
    assert numbers(data, "train") == [2, 2] and numbers(data, "validation") == [0]
    config = labelled(tmp_path / "third", [("a", "z"), ("b", "w")], [("a", "x")])
    line = mistake(lambda: load(config, before.features))
    assert line == f"{tmp_path}/third/train.tsv, line 3: class 'w' is not known; one of: x, y, z"


def test_names_that_a_data_set_declares_are_numbered_as_the_run_has_them() -> None:
    config = experiment(
        ClassificationConfig(), name="shapes:8", inputs=ImageConfig(), targets=LabelConfig()
    )
    data = load(config)
    names = data.features["targets"].names()
    assert len(names) == 4
    turned = {**data.features, "targets": Label(LabelConfig(), names[::-1])}
    found = load(config, turned)
    for split in data.splits:
        assert numbers(found, split)[:9] == [3 - n for n in numbers(data, split)[:9]]
    assert found.fingerprint == data.fingerprint, "it is that of the data set"
    other = {**data.features, "targets": Label(LabelConfig(), names[:3])}
    assert mistake(lambda: load(config, other)) == (
        f"data.name=shapes:8: has 1 class that the run was not trained on, such as {names[3]!r}; "
        f"its classes are {', '.join(names[:3])}"
    )


def test_a_class_that_is_declared_may_lack_an_example() -> None:
    """A part of a published training split need not have all of its classes."""
    label = Label(LabelConfig(), ("a", "b", "c"), declared=True)
    column, kept = EncodedLabels(np.array([0, 2, 0], np.int32)), np.arange(3)
    notes = label.check_kept(column, kept, "train", "data.targets", True)
    assert notes == ["class 'b' has no example in the train split"]
    column.numbers[1] = 1
    with pytest.raises(UserError, match="class 'b' has no .*; the ones that it has are too long"):
        label.check_kept(column, np.array([0, 2]), "train", "data.targets", True)
    found = Label(LabelConfig(), ("a", "b", "c"))
    column.numbers[1] = 2
    with pytest.raises(UserError, match=r"class 'b' has no example in the train split; .* a, c$"):
        found.check_kept(column, kept, "train", "data.targets", True)


def test_a_list_is_not_a_class(tmp_path: Path) -> None:
    paths = tables(tmp_path, train=rows([("a", "x"), ("b", ["y"])]), validation=rows(TEXTS[:1]))
    config = experiment(
        ClassificationConfig(), inputs=TokensConfig(), targets=LabelConfig(), **paths
    )
    line = mistake(lambda: load(config))
    assert line == f"{tmp_path}/train.jsonl, line 2: 'label' is a list, not a class"


def test_a_class_and_its_number() -> None:
    label = Label(LabelConfig(), ("good", "bad"))
    assert [label.read(name) for name in ("bad", "good")] == [1, 0]
    with pytest.raises(UserError, match="class 'goad' is not known; did you mean 'good'"):
        label.read("goad")
    part = label.batch([1, 0], 3)
    assert part.values.tolist() == [1, 0, 0] and part.mask.tolist() == [1, 1, 0]
    assert part.segment_ids is None and part.values.dtype == np.int32
    assert [label.show(value, None) for value in part.values[:2]] == ["bad", "good"]
    again = Label.from_json(label.to_json(), label.config)
    assert again.names() == label.names()
    with pytest.raises(TypeError, match="no model reads a feature of kind label"):
        _ = label.input
