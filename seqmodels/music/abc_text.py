"""The text of ABC files: file header, tunes, fields, comments, music (sections 2 and 3)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

TUNE = re.compile(r"^(?=X:)", re.MULTILINE)
"""Pattern of the first line of a tune."""
_FIELD = re.compile(r"([A-Za-z+]):(.*)")
_NO_FIELD = re.compile(r"[A-Ga-gxzZ]:[|:\]]")  # music: a note or rest at a repeat sign
_COMMENT = re.compile(r"(?<!\\)%")
_GAP = re.compile(r"\n(?:[ \t\r]*\n)+|\n[ \t\r]*\Z")  # empty lines
_BLOCK = re.compile(r"\s*%%begin([a-z]+)")
_DEFAULTS = set("ABCDFGHILMNOPQRSUZmr")
"""Fields of a file header that are defaults of its tunes."""

Field = tuple[int, str, str]
"""Line, letter and content of a field."""


def cut_tunes(text: str) -> list[tuple[int, str]]:
    """Cuts out the tunes of a file: each begins with a line 'X:' and ends after an empty line.

    Returns:
      Line (from 1) and text of each tune, with the empty lines. Text outside tunes is left out.
    """
    parts = TUNE.split(text)
    lines = 1 + parts[0].count("\n")
    found = []
    for part in parts[1:]:
        found.append((lines, cut_end(part)))
        lines += part.count("\n")
    return found


def cut_end(text: str) -> str:
    """Returns a text up to the first empty line after its beginning, which ends a tune.

    Many files have an empty line between K: and the music. It ends no tune if bar lines follow.
    """
    begin = len(text) - len(text.lstrip())
    for number, gap in enumerate(itertools.islice(_GAP.finditer(text, begin), 2)):
        before = text[: gap.start()].rpartition("\n")[2]
        after = text[gap.end() :].partition("\n")[0]
        is_music = "|" in after and (_FIELD.match(after) is None or _NO_FIELD.match(after))
        if number or not (before.startswith("K:") and is_music):
            return text[: gap.end()]
    return text


def read_file_header(text: str) -> list[Field]:
    """Returns the fields before the first tune that are defaults of every tune of the file.

    A file header is one block of fields and comments at the beginning of a file; a block that has
    other lines is free text.
    """
    fields = list(split_fields(TUNE.split(text)[0], 1, one_block=True))
    if not all(field and field != "+" for _, field, _ in fields):
        return []
    return [field for field in fields if field[1] in _DEFAULTS]


def complete(tune: str, header: list[Field]) -> str:
    """Returns a tune with those fields of the file header that its own header lacks."""
    own = set()
    for _, field, _ in split_fields(tune, 1):
        if field == "K":
            break
        own.add(field)
    # Instructions and user symbols do not replace each other.
    added = [f"{field}:{text}" for _, field, text in header if field in "IU" or field not in own]
    lines = tune.split("\n")
    at = 1
    while at < len(lines) and lines[at][:2] in ("T:", "+:"):
        at += 1
    return "\n".join([*lines[:at], *added, *lines[at:]])


def body_of(text: str) -> str:
    """Returns the notes of a tune without fields, comments, white space and '!' at line ends.

    Tunes that differ only in title, number or layout have the same body.
    """
    kept = []
    for line in text.split("\n"):
        line = _COMMENT.split(line)[0]
        if _NO_FIELD.match(line) or not _FIELD.match(line):
            kept.append("".join(line.split()).removesuffix("!"))
    return "".join(kept)


def split_fields(text: str, first_line: int, *, one_block: bool = False) -> Iterator[Field]:
    """Yields (line, field, content) for each line, or those up to an empty line after others.

    Music has the field ''. Lines '+:' continue the field before them; a stylesheet directive
    ('%%name value') is the field I.
    """
    before: Field | None = None
    in_body = False
    for number, line in _lines(text, first_line, one_block):
        if line.startswith("%%"):
            line = f"I:{line[2:]}"
        content = _COMMENT.split(line)[0].rstrip()
        match = _FIELD.match(content)
        if match is None or (in_body and _NO_FIELD.match(content)):
            if content.strip():
                if before is not None:
                    yield before
                before = None
                yield number, "", content
            continue
        name, words = match.group(1), match.group(2).strip()
        if name == "+" and before is not None:
            before = (*before[:2], f"{before[2]} {words}".strip())
            continue
        if before is not None:
            yield before
        before = (number, name, words)
        in_body |= name == "K"
    if before is not None:
        yield before


def _lines(text: str, first: int, one_block: bool) -> Iterator[tuple[int, str]]:
    """Yields (number, line) of lines that are not empty, without typeset text."""
    block, began = "", False
    for number, line in enumerate(text.split("\n"), first):
        begins = _BLOCK.match(line)
        if block:
            block = "" if line.lstrip().startswith(f"%%end{block}") else block
        elif begins is not None:
            block = begins.group(1)
        elif line.strip():
            began |= not line.lstrip().startswith("%")
            yield number, line
        elif began and one_block:
            return
