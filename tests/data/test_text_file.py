from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seqmodels.config.features import TokenizerKind
from tests.data import sets
from tests.data.helpers import CHINESE


def read(**data: Any) -> dict[str, list[str]]:
    splits = sets.open_text("text_file", **data).splits()
    return {split: columns["text"] for split, columns in splits.items()}


def mistake(**data: Any) -> str:
    return sets.mistake(lambda: read(**data))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, text in (("b.txt", "bb\r\n"), ("a.txt", CHINESE), ("c.md", "# c\n"), ("e.txt", "")):
        (tmp_path / name).write_bytes(text.encode())
    return tmp_path


def test_one_file_is_cut_by_characters(files: Path) -> None:
    splits = read(path=str(files / "a.txt"), validation_fraction=0.25, test_fraction=0.125)
    text = {name: "".join(parts) for name, parts in splits.items()}
    assert text["train"] + text["validation"] + text["test"] == CHINESE
    assert len(text["validation"]) == int(len(CHINESE) * 0.25)
    assert len(text["test"]) == int(len(CHINESE) * 0.125)


def test_no_word_is_cut_where_words_are_tokens(files: Path) -> None:
    text = "alpha beta\ngamma  delta epsilon"
    (files / "words-1.txt").write_text(text)
    (files / "words-2.txt").write_text("zeta eta")
    for fraction in (0.05, 0.3, 0.4, 0.5):
        data = {"path": str(files / "words-*.txt"), "validation_fraction": fraction}
        cut = read(**data, test_fraction=0.3, tokenizer=TokenizerKind.WORD)
        assert "".join(part for parts in cut.values() for part in parts) == text + "zeta eta"
        words = [word for parts in cut.values() for part in parts for word in part.split()]
        assert words == [*text.split(), "zeta", "eta"], fraction
        letters = read(**data, test_fraction=0.3)
        assert sum(map(len, letters["train"])) <= sum(map(len, cut["train"])), fraction


def test_a_glob_is_joined_in_sorted_order_one_document_a_file(files: Path) -> None:
    splits = read(path=str(files / "*.txt"), validation_fraction=0.03, test_fraction=0.0)
    assert list(splits) == ["train", "validation"]
    size = int((len(CHINESE) + 4) * 0.03)
    assert size == 2
    assert splits == {"train": [CHINESE, "bb"], "validation": ["\r\n"]}


def test_a_path_per_split(files: Path) -> None:
    splits = read(
        train_path=str(files / "*.txt"),
        validation_path=str(files / "c.md"),
        test_path=str(files / "b.txt"),
    )
    assert splits == {"train": [CHINESE, "bb\r\n", ""], "validation": ["# c\n"], "test": ["bb\r\n"]}
    assert "test" not in read(train_path=str(files / "a.txt"), validation_path=str(files / "b.txt"))


def test_validation_is_cut_from_the_training_text_where_only_a_test_path_is_given(
    files: Path,
) -> None:
    paths = {"train_path": str(files / "*.txt"), "test_path": str(files / "c.md")}
    splits = read(**paths, validation_fraction=0.03, test_fraction=0.9)
    assert list(splits) == ["train", "validation", "test"]
    assert splits == {"train": [CHINESE, "bb"], "validation": ["\r\n"], "test": ["# c\n"]}
    assert list(read(**paths, validation_fraction=0.0)) == ["train", "test"]
    prints = {
        sets.open_text("text_file", **paths, validation_fraction=part).fingerprint()
        for part in (0.03, 0.03, 0.04)
    }
    assert len(prints) == 2


def test_a_name_with_brackets_is_a_file_before_it_is_a_glob(files: Path) -> None:
    (files / "x[1].txt").write_text("brackets")
    assert "".join(read(path=str(files / "x[1].txt"))["train"]) in "brackets"


def test_fingerprint_follows_content_and_fractions_but_not_names(files: Path) -> None:
    def fingerprint(path: str, **data: Any) -> str:
        return sets.open_text("text_file", path=str(files / path), **data).fingerprint()

    (files / "copy.txt").write_bytes(CHINESE.encode())
    assert fingerprint("a.txt") == fingerprint("copy.txt")
    assert fingerprint("a.txt") != fingerprint("b.txt")
    assert fingerprint("a.txt") != fingerprint("a.txt", test_fraction=0.1)
    assert fingerprint("a.txt") != fingerprint("a.txt", tokenizer=TokenizerKind.WORD)
    assert fingerprint("[ab].txt") != fingerprint("a.txt")


def test_missing_file_names_the_nearest(files: Path) -> None:
    wanted = files / "aa.txt"
    assert mistake(path=str(wanted)) == (
        f"data.path={wanted}: no such file; did you mean {str(files / 'a.txt')!r}?"
    )
    assert mistake(path=str(files / "zzzzzzz")).endswith(f"no such file in {files}")
    deep = files / "no" / "such" / "a.txt"
    assert f"the directory {deep.parent} does not exist ({files} does)" in mistake(path=str(deep))


def test_directories_and_empty_globs(files: Path) -> None:
    assert mistake(path=str(files)) == (
        f"data.path={files}: is a directory; name a file or a glob: {files}/*.txt"
    )
    pattern = files / "*.rst"
    assert mistake(train_path=str(pattern), validation_path=str(files / "a.txt")) == (
        f"data.train_path={pattern}: no file matches"
    )
    assert mistake(path="") == "data.path= names no file"


def test_empty_files(files: Path) -> None:
    assert mistake(path=str(files / "e.txt")) == f"data.path: {files / 'e.txt'}: is empty"
    (files / "e.md").write_text("")
    assert mistake(path=str(files / "e.*")) == "data.path: all 2 files are empty"


def test_binary_and_other_encodings_name_file_and_offset(files: Path) -> None:
    (files / "binary").write_bytes(b"abc\xff\x00\x00")
    assert mistake(path=str(files / "binary")) == (
        f"{files / 'binary'}, line 1: binary, not text: NUL byte at offset 4"
    )
    (files / "latin").write_bytes("Zürich".encode("latin-1"))
    message = mistake(path=str(files / "latin"))
    assert message.startswith(f"{files / 'latin'}, line 1: not UTF-8: byte 0xfc at offset 1 (")
    assert "iconv -f LATIN1 -t UTF-8" in message
    (files / "utf16").write_text("text", encoding="utf-16")
    assert "not UTF-8 but UTF-16" in mistake(path=str(files / "utf16"))
    (files / "cut").write_bytes("中".encode()[:2])
    assert "byte 0xe4 at offset 0 (unexpected end of data)" in mistake(path=str(files / "cut"))


def test_fields_that_contradict_each_other(files: Path) -> None:
    path = str(files / "a.txt")
    assert mistake(path=path, train_path=path) == (
        "data.path and data.train_path: name the files by one or the other"
    )
    assert "data.path, or data.train_path must name" in mistake()
    assert "data.validation_path must name" in mistake(train_path=path)
    assert "data.train_path must name" in mistake(validation_path=path)
    assert mistake(path=path, test_fraction=1.5).startswith("data.test_fraction=1.5: must be")
    assert "data.validation_fraction=-0.1: must be" in mistake(path=path, validation_fraction=-0.1)
    assert "together they must be less than 1" in mistake(
        path=path, validation_fraction=0.5, test_fraction=0.5
    )


def test_unreadable_file(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    path = files / "a.txt"
    assert mistake(path=str(path)) == f"{path}: cannot read (Permission denied)"
