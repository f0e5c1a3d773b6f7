"""The user's own tables: CSV, TSV and JSONL files, cut by a hash or one per split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.data.sets import mistake, open_columns

ROWS = [(f"word {i % 200}", f"Wort {i}") for i in range(400)]
BOTH = {"inputs": "text", "targets": "label"}


def write(folder: Path, name: str, rows: Any) -> str:
    """A file whose columns are in another order than they are read in, with one more."""
    content = [{"id": i, "label": label, "text": text} for i, (text, label) in enumerate(rows)]
    delimiter = {"csv": ",", "tsv": "\t"}.get(name.rpartition(".")[2])
    lines = [json.dumps(row) for row in content]
    if delimiter is not None:
        names = [{name: name for name in ("id", "label", "text")}]
        lines = [delimiter.join(map(str, row.values())) for row in [*names, *content]]
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder / name)


def open_table(columns: Any = BOTH, **fields: Any) -> Any:
    return open_columns("table", columns, **fields)


def test_the_columns_that_are_wanted_of_a_file_per_split(tmp_path: Path) -> None:
    for ending in ("csv", "tsv", "jsonl"):
        paths = {
            "train_path": write(tmp_path, f"train.{ending}", ROWS[:9]),
            "validation_path": write(tmp_path, f"validation.{ending}", ROWS[9:12]),
        }
        source = open_table(**paths)
        texts, labels = zip(*ROWS[:9], strict=True)
        found = source.splits()
        assert list(found) == ["train", "validation"]
        assert found["train"] == {"text": list(texts), "label": list(labels)}
        assert list(found["train"]) == ["text", "label"]
        line = 3 if ending == "jsonl" else 4
        assert source.locate("validation", 2) == f"{paths['validation_path']}, line {line}"
        assert source.classes("label") is None
        turned = open_table({"source": "label", "targets": "id"}, **paths)
        expected = 3 if ending == "jsonl" else "3"
        assert list(turned.splits()["train"]) == ["label", "id"]
        assert turned.splits()["train"]["id"][3] == expected
        assert turned.fingerprint() != source.fingerprint() == open_table(**paths).fingerprint()


def test_one_file_is_dealt_by_a_hash_of_the_first_column(tmp_path: Path) -> None:
    """Rows of equal first columns, but for capitals and spaces, are in one split, in any format."""
    rows = [(text.upper() if i % 3 else f"  {text}", label) for i, (text, label) in enumerate(ROWS)]
    found: list[Any] = []
    for name in ("all.csv", "all.tsv", "all.jsonl"):
        source = open_table(path=write(tmp_path, name, rows), test_fraction=0.1)
        splits = source.splits()
        texts = {split: [x.lower().strip() for x in of["text"]] for split, of in splits.items()}
        assert list(texts) == ["train", "validation", "test"]
        assert all(of.count(text) == 2 for of in texts.values() for text in of)
        assert sum(len(set(of)) for of in texts.values()) == len(set().union(*texts.values()))
        assert 140 < len(set(texts["train"])) < 190 and len(set().union(*texts.values())) == 200
        found.append((texts, {split: of["label"] for split, of in splits.items()}))
        for split in ("train", "test"):
            line = int(source.locate(split, 1).rpartition(" ")[2]) - 1 - ("jsonl" not in name)
            assert rows[line][1] == splits[split]["label"][1]
    assert found[0] == found[1] == found[2]
    assert found[0][0]["test"][:3] == ["word 4", "word 20", "word 23"], "results stay comparable"


def test_validation_is_dealt_from_the_training_file_where_only_a_test_path_is_given(
    tmp_path: Path,
) -> None:
    paths = {
        "train_path": write(tmp_path, "train.tsv", ROWS),
        "test_path": write(tmp_path, "test.jsonl", ROWS[:7]),
    }
    source = open_table(**paths, validation_fraction=0.3, test_fraction=0.6)
    splits = source.splits()
    sizes = {split: len(columns["text"]) for split, columns in splits.items()}
    assert list(sizes) == ["train", "validation", "test"] and sizes["test"] == 7
    assert sizes["train"] + sizes["validation"] == 400 and 80 < sizes["validation"] < 160
    assert not set(splits["train"]["text"]) & set(splits["validation"]["text"])
    assert source.locate("validation", 0).startswith(paths["train_path"])
    line = mistake(lambda: open_table(**paths, validation_fraction=0.0))
    assert line == "data.validation_fraction=0: must be above 0 with data.train_path"


def test_a_split_that_would_be_empty_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "few.csv", ROWS[:3])
    line = mistake(open_table(path=path, validation_fraction=1e-6, test_fraction=0.0).splits)
    assert line == (
        "data.validation_fraction=1e-06: none of 3 examples falls into the validation split"
    )
    line = mistake(open_table(path=path, validation_fraction=0.5, test_fraction=0.499999).splits)
    assert "falls into the" in line and "3 examples" in line


def test_values_of_objects_are_kept(tmp_path: Path) -> None:
    rows = [
        {"text": " a b ", "n": 3, "x": -0.5, "series": [1, 2.5], "left": None},
        {"text": "\u2029x", "n": "3", "x": 1e9, "series": [[1, 2], [3, 4]]},
        {"text": "c\nd", "n": 0, "x": 0, "series": ["N", "V"], "more": {}},
    ]
    lines = [json.dumps(rows[0]), "", json.dumps(rows[1], ensure_ascii=False), json.dumps(rows[2])]
    (tmp_path / "a.jsonl").write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")
    path = str(tmp_path / "a.jsonl")
    columns = {"source": "series", "inputs": "x", "targets": "n"}
    source = open_table(columns, train_path=path, validation_path=path)
    expected = {name: [row[name] for row in rows] for name in ("series", "x", "n")}
    assert source.splits()["train"] == expected
    assert list(map(type, source.splits()["train"]["n"])) == [int, str, int]
    assert source.locate("train", 1) == f"{path}, line 3"
    text = open_table({"inputs": "text"}, train_path=path, validation_path=path).splits()
    assert text["train"]["text"] == [row["text"] for row in rows]
    numbers = [{"x": i % 50, "y": i} for i in range(100)]
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, numbers)))
    dealt = open_table({"inputs": "x", "targets": "y"}, path=str(tmp_path / "b.jsonl")).splits()
    assert not set(dealt["train"]["x"]) & set(dealt["validation"]["x"])


BAD = {
    "an empty field": (b"text,label\na,x\n,y\n", "line 3: column 'text' is empty"),
    "a blank field": (b"text,label\na,x\nb, \n", "line 3: column 'label' is empty"),
    "too few fields": (b"text,label\na,x\nb\n", "line 3: 1 fields, where the first line has 2"),
    "no such column": (b"sentence,label\na,x\n", "data.inputs.column=text: "),
    "a near column": (b"texts,label\na,x\n", "has no such column; did you mean 'texts'?"),
    "twice": (b"text,text,label\na,b,x\n", "bad.csv has 2 columns of that name"),
    "latin1": (b"text,label\na,x\ncaf\xe9,y\n", "line 3: not UTF-8: byte 0xe9"),
    "utf-16": ("text,label".encode("utf-16"), "not UTF-8 but UTF-16"),
    "a quote that does not end": (b'text,label\na,x\n"b,y\n', "line 3: unexpected end of data"),
    "no rows": (b"text,label\n", "has no line after the names of its columns"),
    "blank lines": (b"\n\n", "has no line with the names of its columns"),
    "a mark alone": (b"\xef\xbb\xbf", "is empty"),
    "nothing": (b"", "is empty"),
    "binary": (b"text,label\na,\0\n", "line 2: binary, not text"),
}
GOOD = b'{"text": "a", "label": "x"}\n\n'
BAD_OBJECTS = {
    "not JSON": (b'{"text": "a",}\n', "line 3: not JSON: "),
    "an array": (b'["a", "x"]\n', "line 3: not a JSON object, such as"),
    "no such key": (b'{"text": "a", "labels": "x"}\n', "data.targets.column=label: "),
    "a near key": (b'{"text": "a", "labels": 1}\n', "no such key; did you mean 'labels'?"),
    "null": (b'{"text": null, "label": "x"}\n', "line 3: 'text' is null, not a text, a number"),
    "a truth": (b'{"text": "a", "label": true}\n', "line 3: 'label' is true, not a text"),
    "an object": (b'{"text": {}, "label": "x"}\n', "line 3: 'text' is {}, not a text"),
    "empty": (b'{"text": " ", "label": "x"}\n', "line 3: 'text' is empty"),
    "an empty list": (b'{"text": [], "label": "x"}\n', "line 3: 'text' is empty"),
    "not a number": (b'{"text": NaN, "label": "x"}\n', "line 3: not JSON: NaN"),
    "too deep": (b'{"text": ' + b"[" * 100_000, "line 3: not JSON"),
    "too long": (b'{"text": ' + b"1" * 10_000 + b"}", "line 3: not JSON"),
    "latin1": (b'{"text": "\xe9"}', "line 3: not UTF-8: byte 0xe9"),
}


def test_bad_tables_are_named_with_the_line(tmp_path: Path) -> None:
    good = write(tmp_path, "good.csv", ROWS[:5])
    cases = {**BAD, **{f"{n} of JSON": (GOOD + c, e) for n, (c, e) in BAD_OBJECTS.items()}}
    cases["no object"] = (b"\n \n", "has no line with an object")
    for name, (content, expected) in cases.items():
        path = tmp_path / ("bad.csv" if name in BAD else "bad.jsonl")
        path.write_bytes(content)
        for paths in ({"path": str(path)}, {"train_path": str(path), "validation_path": good}):
            line = mistake(open_table(**paths).splits)
            assert expected in line and path.name in line, (name, line)


def test_tabs_separate_fields_and_quotes_are_characters(tmp_path: Path) -> None:
    path = tmp_path / "bad.tsv"
    for content, expected in (
        (b"id\ten\tde\n0\ta\tb\n1\t \tb\n", "bad.tsv, line 3: column 'en' is empty"),
        (b"id\ten\tde\n0\ta\tb\n1\tb\n", "bad.tsv, line 3: 2 fields, where the first"),
        (b"id\ten\tger\n0\ta\tb\n", "data.source.column=de: "),
        (b"id\ten\tde\n0\ta\tb\xf6\n", "bad.tsv, line 2: not UTF-8: byte 0xf6"),
        ("id\ten\tde".encode("utf-16"), "not UTF-8 but UTF-16"),
    ):
        path.write_bytes(content)
        assert expected in mistake(
            open_table({"source": "de", "targets": "en"}, path=str(path)).splits
        )
    path.write_bytes(b'de\ten\n"a\t b,"\n')
    found = open_table(
        {"source": "de", "targets": "en"}, train_path=str(path), validation_path=str(path)
    )
    assert found.splits()["train"] == {"de": ['"a'], "en": ['b,"']}


def test_a_field_may_have_line_feeds_and_quotes(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbftext,label\r\n"a ""b""\nc",x\r\n\r\nd,y\r\n,z\r\n'
    file = tmp_path / "quoted.csv"
    file.write_bytes(content)
    paths = {"train_path": str(file), "validation_path": str(file)}
    assert "quoted.csv, line 6: column 'text' is empty" in mistake(open_table(**paths).splits)
    file.write_bytes(content.replace(b"\n,z", b"\ne,z"))
    assert open_table(**paths).splits()["train"]["text"] == ['a "b"\nc', "d", "e"]


def test_a_field_may_be_longer_than_the_csv_module_expects(tmp_path: Path) -> None:
    long = "word " * 40_000 + "end"  # the module's default bound is 131,072 characters
    for ending in ("csv", "tsv", "jsonl"):
        path = write(tmp_path, f"long.{ending}", [(long, "a"), ("short", "b")])
        found = open_table(train_path=path, validation_path=path).splits()
        assert found["train"] == {"text": [long, "short"], "label": ["a", "b"]}


def test_bad_paths(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", ROWS[:5])
    (tmp_path / "a.txt").write_text("text")
    line = mistake(lambda: open_table(path=str(tmp_path / "a.txt")))
    assert line == f"data.path={tmp_path}/a.txt: must end with .csv or .tsv or .jsonl"
    assert "no such file; did you mean" in mistake(lambda: open_table(path=f"{path}s"))
    assert "matches 2 files; name one" in mistake(lambda: open_table(path=str(tmp_path / "a.*")))
    line = mistake(open_table)
    assert line == (
        "data.name=table: data.path, or data.train_path must name a .csv, .tsv or .jsonl file"
    )
    line = mistake(lambda: open_table(train_path=path))
    assert line == (
        "data.name=table: data.validation_path must name a .csv, .tsv or .jsonl file; with "
        "data.test_path alone, data.validation_fraction of data.train_path is held out"
    )
    line = mistake(lambda: open_table(path=path, test_path=path))
    assert line == "data.path and data.test_path: name the files by one or the other"
