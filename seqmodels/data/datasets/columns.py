"""The user's own tables: CSV and TSV files whose first line names their columns."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from seqmodels.config.errors import UserError, suggest
from seqmodels.data.datasets.text_file import find_file, read_filled

ENDINGS = {".csv": ",", ".tsv": "\t"}
"""By the ending of a file's name what stands between its fields."""


@dataclasses.dataclass(frozen=True)
class Table:
    """Some columns of a file.

    Attributes:
      columns: the fields of each, by row, in the order in which they were asked for.
      lines: of each row the line where it begins, from 1.
    """

    columns: tuple[list[str], ...]
    lines: list[int]


def find_table(field: str, path: str) -> Path:
    """Returns the one file of a path; raises UserError where it is none, or has another ending."""
    file = find_file(field, path)
    if file.suffix.lower() not in ENDINGS:
        raise UserError(f"{field}={path}: must end with {' or '.join(ENDINGS)}")
    return file


def read_columns(file: Path, wanted: Mapping[str, str]) -> Table:
    """Reads columns of a UTF-8 file.

    A .csv file may have fields in double quotes, with line feeds in them (RFC 4180); in a .tsv file
    a quote is a character like any other. White space around a field is left out.

    Args:
      wanted: field of the config -> the column's name.

    Raises:
      UserError: there are no columns or no such one, or a line is at fault: too few or too many
        fields, or an empty one among those that are wanted.
    """
    rows = _rows(file)
    header = next((row for _, row in rows), None)
    if header is None:
        raise UserError(f"{file}: has no line with the names of its columns")
    names = [name.strip() for name in header]
    places = []
    for field, name in wanted.items():
        if name not in names:
            raise UserError(f"{field}={name}: {file} has no such column{suggest(name, names)}")
        if names.count(name) > 1:
            raise UserError(f"{field}={name}: {file} has {names.count(name)} columns of that name")
        places.append(names.index(name))
    columns: tuple[list[str], ...] = tuple([] for _ in places)
    lines = []
    for line, row in rows:
        if len(row) != len(names):
            raise UserError(
                f"{file}, line {line}: {len(row)} fields, where the first line has {len(names)}"
            )
        for column, place in zip(columns, places, strict=True):
            text = row[place].strip()
            if not text:
                raise UserError(f"{file}, line {line}: column {names[place]!r} is empty")
            column.append(text)
        lines.append(line)
    if not lines:
        raise UserError(f"{file}: has no line behind the names of its columns")
    return Table(columns, lines)


def _rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields the first line of each row, from 1, and its fields; empty lines are passed over."""
    quoting = csv.QUOTE_NONE if file.suffix.lower() == ".tsv" else csv.QUOTE_MINIMAL
    text = io.StringIO(read_filled(file).removeprefix("\ufeff"), newline="")
    delimiter = ENDINGS[file.suffix.lower()]
    reader = csv.reader(text, delimiter=delimiter, quoting=quoting, strict=True)
    begin = 1
    try:
        for row in reader:
            if row:
                yield begin, row
            begin = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{file}, line {begin}: {error}") from None
