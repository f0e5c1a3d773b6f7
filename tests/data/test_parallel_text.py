"""The user's own parallel texts: a file per column, cut by fractions or one per split."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from tests.data.sets import mistake, open_columns

PAIRS = [(f"{'ab' * n}c", "x" * (n % 5 + 1) + "y") for n in range(1, 24)]
COLUMNS = {"source": "de", "targets": "en"}


def write(folder: Path, start: str, rows: list[tuple[str, ...]]) -> str:
    """Writes a file per language; returns their path with {column}."""
    for name, side in (("de", 0), ("en", 1)):
        text = "".join(row[side] + "\n" for row in rows)
        (folder / f"{start}.{name}").write_text(text, encoding="utf-8")
    return str(folder / f"{start}.{{column}}")


def open_lines(columns: Any = COLUMNS, **fields: Any) -> Any:
    return open_columns("parallel_text", columns, **fields)


def rows_of(splits: Any) -> dict[str, list[tuple[str, ...]]]:
    return {split: list(zip(*columns.values(), strict=True)) for split, columns in splits.items()}


def test_files_are_cut_by_fractions(tmp_path: Path) -> None:
    """Of 23 lines the last 4 and the 2 before are held out."""
    path = write(tmp_path, "all", PAIRS)
    fields = {"path": path, "validation_fraction": 0.1, "test_fraction": 0.2}
    source = open_lines(**fields)
    assert rows_of(source.splits()) == {
        "train": PAIRS[:17],
        "validation": PAIRS[17:19],
        "test": PAIRS[19:],
    }
    assert list(source.splits()["train"]) == ["de", "en"] and source.classes("en") is None
    assert source.locate("validation", 1) == f"{tmp_path}/all.de, line 19"
    turned = open_lines({"source": "en", "targets": "de"}, **fields)
    assert turned.splits()["test"] == source.splits()["test"]
    assert turned.locate("test", 0) == f"{tmp_path}/all.en, line 20"
    prints = [open_lines(**{**fields, **more}).fingerprint() for more in ({}, {}, {"fold": 1})]
    assert len(set(prints)) == 1
    assert turned.fingerprint() != source.fingerprint() == prints[0]
    assert open_lines(**{**fields, "test_fraction": 0.1}).fingerprint() != prints[0]
    write(tmp_path, "all", [*PAIRS[:-1], ("ab", "other")])
    assert open_lines(**fields).fingerprint() != prints[0]


def test_a_path_per_split(tmp_path: Path) -> None:
    parts = {"train_path": PAIRS, "validation_path": PAIRS[:3], "test_path": PAIRS[3:5]}
    paths = {field: write(tmp_path, field, rows) for field, rows in parts.items()}
    source = open_lines(**paths)
    assert rows_of(source.splits()) == {
        field.removesuffix("_path"): rows for field, rows in parts.items()
    }
    assert source.locate("test", 1) == f"{tmp_path}/test_path.de, line 2"
    del paths["test_path"]
    assert list(open_lines(**paths).splits()) == ["train", "validation"]


def test_validation_is_cut_from_the_training_files_where_only_a_test_path_is_given(
    tmp_path: Path,
) -> None:
    paths = {"train_path": write(tmp_path, "a", PAIRS), "test_path": write(tmp_path, "b", PAIRS)}
    source = open_lines(**paths, validation_fraction=0.1)
    found = rows_of(source.splits())
    assert found == {"train": PAIRS[:21], "validation": PAIRS[21:], "test": PAIRS}
    assert source.locate("validation", 0) == f"{tmp_path}/a.de, line 22"
    assert source.locate("test", 0) == f"{tmp_path}/b.de, line 1"


def test_any_number_of_columns(tmp_path: Path) -> None:
    paths = {f"{s}_path": write(tmp_path, s, PAIRS) for s in ("train", "validation")}
    assert list(open_lines({"inputs": "en"}, **paths).splits()["train"]) == ["en"]
    for split in ("train", "validation"):
        (tmp_path / f"{split}.fr").write_text("z\n" * 23)
    three = open_lines({"source": "de", "inputs": "fr", "targets": "en"}, **paths)
    assert list(three.splits()["train"]) == ["de", "fr", "en"]


def test_a_row_that_occurs_again_is_in_one_split(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = ["a", "b", "C", "d", "e", "b", "f", "f", "c", " d"]  # 6, 2 and 2 of them
    path = write(tmp_path, "all", [(line, line) for line in lines])
    fields = {"path": path, "validation_fraction": 0.2, "test_fraction": 0.2}
    source = open_lines(**fields)
    with caplog.at_level(logging.WARNING):
        assert source.locate("train", 2).endswith("all.de, line 5")
    assert caplog.messages == [
        f"{path}: 2 of 10 rows occur again in what is held out after them and are left out"
    ]
    found = {split: columns["de"] for split, columns in source.splits().items()}
    assert found == {"train": ["a", "b", "e", "b"], "validation": ["f", "f"], "test": ["c", " d"]}
    write(tmp_path, "all", [("a", "a"), ("b", "b")] * 10)
    line = mistake(open_lines(**fields).splits)
    assert line.startswith(f"data.path={path}: each row of the train split occurs again")


BAD = {
    "more lines": ("de", b"a\nb\nc\n", "all.de has 3 lines, "),
    "an empty line": ("en", b"a\n\n" + b"a\n" * 21, "all.en, line 2: is empty"),
    "latin1": ("de", b"a\ncaf\xe9\n" + b"a\n" * 21, "all.de, line 2: not UTF-8: byte 0xe9"),
    "binary": ("de", b"a\n\0\n", "all.de, line 2: binary, not text"),
    "utf-16": ("en", "ab".encode("utf-16"), "not UTF-8 but UTF-16"),
    "nothing": ("de", b"", "all.de: is empty"),
    "missing": ("de", None, "all.de: no such file"),
}


def test_bad_files_are_named_with_the_line(tmp_path: Path) -> None:
    for name, (side, content, expected) in BAD.items():
        path = write(tmp_path, "all", PAIRS)
        file = tmp_path / f"all.{side}"
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        line = mistake(lambda path=path: open_lines(path=path).splits())
        assert expected in line, name


def test_bad_paths(tmp_path: Path) -> None:
    path = write(tmp_path, "all", PAIRS)
    plain = path.replace("{column}", "de")
    assert mistake(lambda: open_lines(path=plain)) == (
        f"data.path={plain}: must contain {{column}}, which becomes the name of each column: de, en"
    )
    line = mistake(lambda: open_lines({"source": "dee", "targets": "en"}, path=path))
    assert line == f"data.path={tmp_path}/all.dee: no such file; did you mean '{tmp_path}/all.de'?"
    line = mistake(lambda: open_lines(path=path, validation_fraction=0.01).splits())
    assert "data.validation_fraction=0.01: of 23 rows none is left for validation" in line
    line = mistake(lambda: open_lines(path=path, validation_fraction=0.0))
    assert line == "data.validation_fraction=0: must be above 0 with data.path"
    assert "data.path, or data.train_path must name UTF-8 files" in mistake(open_lines)


def test_columns_of_other_lengths_are_refused(tmp_path: Path) -> None:
    """Whichever is the longer one, and whether one file is cut or each split has its own."""
    rows = [("a", "a"), ("b", "b")] * 10
    equal = write(tmp_path, "equal", rows)
    for longer, name in (("de", "first"), ("en", "second")):
        path = write(tmp_path, name, rows)
        with open(tmp_path / f"{name}.{longer}", "a", encoding="utf-8") as file:
            file.write("c\n")
        count = {"de": 20, "en": 20, longer: 21}
        for paths in ({"path": path}, {"train_path": equal, "validation_path": path}):
            line = mistake(open_lines(**paths).splits)
            told = f"{name}.de has {count['de']} lines, {tmp_path}/{name}.en has {count['en']}: "
            assert line == f"{tmp_path}/{told}line i of one belongs to line i of the other"


def test_windows_line_ends_are_not_text(tmp_path: Path) -> None:
    path = write(tmp_path, "all", PAIRS)
    before = open_lines(path=path).splits()
    for name in COLUMNS.values():
        file = tmp_path / f"all.{name}"
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert open_lines(path=path).splits() == before
