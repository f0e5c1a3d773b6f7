"""Lines and byte order marks of the user's own files, for all that reads them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from seqmodels.config.errors import UserError
from seqmodels.files import read_file, read_filled_lines, read_lines, split_lines
from tests.test_house import SOURCES, name_of, nodes

MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("\n", [""]),
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\n\n", ["a", ""]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("a\rb\n", ["a\rb"]),
        ("\x0b\n\x0c\n\x1c\n\x85\n\u2028\n\u2029\na", list("\x0b\x0c\x1c\x85\u2028\u2029a")),
    ],
)
def test_a_line_ends_at_a_line_feed(text: str, lines: list[str]) -> None:
    assert split_lines(text) == lines


def test_a_byte_order_mark_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(MARK + "a\n\ufeffb\n".encode())
    assert read_file(path) == "a\n\ufeffb\n"
    assert read_lines(path) == read_filled_lines(path) == ["a", "\ufeffb"]
    path.write_bytes(MARK + b"\nb\n")
    with pytest.raises(UserError, match=r"a\.txt, line 1: is empty"):
        read_filled_lines(path)
    path.write_bytes(MARK)
    with pytest.raises(UserError, match=r"a\.txt: is empty"):
        read_filled_lines(path)


LINE_CUTTERS = {"splitlines", "readlines"}


def test_lines_are_cut_in_one_place() -> None:
    """At U+2028 or a form feed `splitlines` ends a line and other programs do not."""
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in SOURCES
        if not name_of(path).startswith("tests/")
        for node in nodes(path.read_text())
        if isinstance(node, ast.Attribute) and node.attr in LINE_CUTTERS
    ]
    assert not found, f"use split_lines of seqmodels/files.py: {found}"
