"""`table`: the user's own tables in CSV, TSV or JSONL files, by their endings."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqmodels.config.data import TABLE_ENDINGS, DataConfig
from seqmodels.config.errors import UserError
from seqmodels.data.datasets.dataset import SPLITS, BuiltInDataset, Splits, lower_words
from seqmodels.data.datasets.own_files import OwnFiles, deal_rows, digest_files
from seqmodels.data.datasets.table_columns import find_columns
from seqmodels.data.image_file import ImageFiles
from seqmodels.files import find_file_of, read_filled, split_lines

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_LONGEST_FIELD = 2**31 - 1
"""In characters; the csv module's own bound of 131,072 is below the length of many a text."""


@dataclasses.dataclass(frozen=True)
class Rows:
    """Some columns of a file.

    Attributes:
      columns: name -> values, by row.
      lines: first line of each row, from 1.
    """

    columns: dict[str, list[Any]]
    lines: list[int]


class Table(BuiltInDataset):
    """One file, assigned to splits by a hash of the first wanted column, or a file per split.

    So rows whose first columns are equal are in one split; capitals and spaces do not count.

    Raises:
      UserError: the fields contradict each other, or a path does not lead to one such file.
    """

    def __init__(self, config: DataConfig) -> None:
        what = f"a {', '.join(TABLE_ENDINGS[:-1])} or {TABLE_ENDINGS[-1]} file"
        self._own = OwnFiles.of(config, what, needs_validation=True)
        self._wanted = config.columns()
        self._files = {
            field: find_file_of(f"data.{field}", path, TABLE_ENDINGS)
            for field, path in self._own.paths.items()
        }
        self.description = ", ".join(map(str, self._files.values()))

    @classmethod
    def open(cls, config: DataConfig) -> Table:
        return cls(config)

    def fingerprint(self) -> str:
        how = (self._own.fractions, 2, list(self._wanted.values()))
        return digest_files(repr(how), self._files)

    def splits(self) -> Splits:
        """Reads the wanted columns.

        Raises:
          UserError: names the file and line at fault, or a split that is left empty.
        """
        return {
            split: {
                name: [column[row] for row in part.rows]
                for name, column in part.table.columns.items()
            }
            for split, part in self._arrange().items()
        }

    def open_images(self, split: str, column: str, names: Sequence[Any]) -> ImageFiles:
        """The files of these names, from the folder of the table on."""
        part = self._arrange()[split]
        places = tuple(f"{part.file}, line {part.table.lines[row]}" for row in part.rows)
        paths = tuple(part.file.parent / str(name) for name in names)
        for place, path in zip(places, paths, strict=True):
            if not path.is_file():
                raise UserError(f"{place}: column {column!r} names {path}, which is not a file")
        return ImageFiles(paths, places)

    def locate(self, split: str, row: int) -> str:
        part = self._arrange()[split]
        return f"{part.file}, line {part.table.lines[part.rows[row]]}"

    def folder(self, split: str) -> Path:
        files = self._own.arrange(self._files, lambda file, *_: dict.fromkeys(SPLITS, file))
        return files[split].parent

    def _arrange(self) -> dict[str, _Part]:
        tables = {field: read_table(file, self._wanted) for field, file in self._files.items()}
        found = {
            field: _Part(self._files[field], table, list(range(len(table.lines))))
            for field, table in tables.items()
        }
        return self._own.arrange(found, _cut)


@dataclasses.dataclass(frozen=True)
class _Part:
    """Rows of a file that make a split."""

    file: Path
    table: Rows
    rows: list[int]


def _cut(whole: _Part, validation: float, test: float) -> dict[str, _Part]:
    first = next(iter(whole.table.columns.values()))
    keys = [lower_words(x if isinstance(x, str) else json.dumps(x)) for x in first]
    dealt = deal_rows(keys, validation, test)
    return {split: dataclasses.replace(whole, rows=rows) for split, rows in dealt.items()}


def read_table(file: Path, wanted: Mapping[str, str]) -> Rows:
    """Reads columns of a UTF-8 file.

    The first line of .csv and .tsv files names the columns. A .csv file may have fields in double
    quotes, with line feeds in them (RFC 4180); in a .tsv file a quote is a character like any
    other. White space around a field is removed. Each line of a .jsonl file is an object; texts,
    numbers and lists are kept as they are.

    Args:
      file: ends with one of TABLE_ENDINGS.
      wanted: field of the config -> name of the column, or of several; see `table_columns`.

    Raises:
      UserError: a column does not exist, or a line is at fault: too few or too many fields, an
        empty value in a wanted column, not JSON.
    """
    if file.suffix.lower() == ".jsonl":
        return _read_objects(file, wanted)
    rows = split_rows(file)
    header = next((row for _, row in rows), None)
    if header is None:
        raise UserError(f"{file}: has no line with the names of its columns")
    names = [name.strip() for name in header]
    groups = {
        name: find_columns(name, names, f"data.{field}={name}: {file}")
        for field, name in wanted.items()
    }
    places = {name: [names.index(part) for part in group.names] for name, group in groups.items()}
    table = Rows({name: [] for name in groups}, [])
    for line, row in rows:
        if len(row) != len(names):
            raise UserError(
                f"{file}, line {line}: {len(row)} fields, where the first line has {len(names)}"
            )
        where = f"{file}, line {line}"
        for name, group in groups.items():
            texts = [row[place].strip() for place in places[name]]
            if "" in texts:
                raise UserError(f"{where}: column {group.names[texts.index('')]!r} is empty")
            table.columns[name].append(group.value(texts, where))
        table.lines.append(line)
    if not table.lines:
        raise UserError(f"{file}: has no line after the names of its columns")
    return table


def split_rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields the first line of each row, from 1, and its fields; empty lines are skipped."""
    quoting = csv.QUOTE_NONE if file.suffix.lower() == ".tsv" else csv.QUOTE_MINIMAL
    csv.field_size_limit(_LONGEST_FIELD)  # of the process; there is no other way to set it
    text = io.StringIO(read_filled(file), newline="")
    delimiter = _DELIMITERS[file.suffix.lower()]
    reader = csv.reader(text, delimiter=delimiter, quoting=quoting, strict=True)
    begin = 1
    try:
        for row in reader:
            if row:
                yield begin, row
            begin = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{file}, line {begin}: {error}") from None


def _read_objects(file: Path, wanted: Mapping[str, str]) -> Rows:
    table = Rows({name: [] for name in wanted.values()}, [])
    for number, line in enumerate(split_lines(read_filled(file)), 1):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        values = _parse_object(line, where)
        for field, name in wanted.items():
            group = find_columns(name, list(values), f"data.{field}={name}: {where}", "key")
            value = group.value([values[part] for part in group.names], where)
            if isinstance(value, bool) or not isinstance(value, str | int | float | list):
                raise UserError(
                    f"{where}: {name!r} is {json.dumps(value)[:40]}, not a text, a number or a list"
                )
            if value == [] or (isinstance(value, str) and not value.strip()):
                raise UserError(f"{where}: {name!r} is empty")
            table.columns[name].append(value)
        table.lines.append(number)
    if not table.lines:
        raise UserError(f"{file}: has no line with an object")
    return table


def _parse_object(line: str, where: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise UserError(f"{where}: not JSON: {constant}")

    try:
        value = json.loads(line, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not JSON: {error.msg} at character {error.colno}") from None
    except (RecursionError, ValueError) as error:
        raise UserError(f"{where}: not JSON that can be read ({error})") from None
    if not isinstance(value, dict):
        raise UserError(f'{where}: not a JSON object, such as {{"text": "good", "label": "yes"}}')
    return value
