"""`parallel_text`: the user's own UTF-8 files, one per column; line i of each belongs together."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from pathlib import Path

from seqmodels.config.data import COLUMN_MARK, DataConfig
from seqmodels.config.errors import UserError
from seqmodels.data.datasets.dataset import SPLITS, BuiltInDataset, Splits, lower_words
from seqmodels.data.datasets.own_files import OwnFiles
from seqmodels.files import find_file, open_or_explain, read_filled_lines

_log = logging.getLogger(__name__)


class ParallelText(BuiltInDataset):
    """Files whose paths contain {column}, which becomes the name of each wanted column.

    Lines end as `files.split_lines` says. Files are cut by fractions, the last part is held out; or
    there are files for each split.

    Raises:
      UserError: the fields contradict each other, or a path does not lead to one file per column.
    """

    def __init__(self, config: DataConfig) -> None:
        what = f"UTF-8 files by a path with {COLUMN_MARK}"
        self._own = OwnFiles.of(config, what, needs_validation=True)
        self._names = list(dict.fromkeys(config.columns().values()))
        self._files = {
            field: self._find(f"data.{field}", path) for field, path in self._own.paths.items()
        }
        self.description = ", ".join(self._own.paths.values())

    @classmethod
    def open(cls, config: DataConfig) -> ParallelText:
        return cls(config)

    def _find(self, field: str, path: str) -> dict[str, Path]:
        """Returns the file of each column."""
        if COLUMN_MARK not in path:
            raise UserError(
                f"{field}={path}: must contain {COLUMN_MARK}, which becomes the name of each "
                f"column: {', '.join(self._names)}"
            )
        return {name: find_file(field, path.replace(COLUMN_MARK, name)) for name in self._names}

    def fingerprint(self) -> str:
        digest = hashlib.sha256(repr((self._own.fractions, 2)).encode())
        for field, files in self._files.items():
            for name, file in files.items():
                with open_or_explain(file) as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
                digest.update(f"{field} {name}".encode())
        return digest.hexdigest()

    def splits(self) -> Splits:
        return {
            split: {name: [lines[row] for row in part.rows] for name, lines in part.columns.items()}
            for split, part in self._arrange().items()
        }

    def locate(self, split: str, row: int) -> str:
        part = self._arrange()[split]
        return f"{self._files[part.field][self._names[0]]}, line {part.rows[row] + 1}"

    def _arrange(self) -> dict[str, _Part]:
        return self._own.arrange({field: self._read(field) for field in self._files}, self._cut)

    def _read(self, field: str) -> _Part:
        """All lines of the files of a config field."""
        files = self._files[field]
        columns = {name: read_filled_lines(file) for name, file in files.items()}
        first, *others = self._names
        count = len(columns[first])
        for name in others:
            if len(columns[name]) != count:
                raise UserError(
                    f"{files[first]} has {count} lines, {files[name]} has {len(columns[name])}: "
                    "line i of one belongs to line i of the other"
                )
        return _Part(field, columns, list(range(count)))

    def _cut(self, whole: _Part, validation: float, test: float) -> dict[str, _Part]:
        """Train comes first, test last; a row that occurs again is kept in the last part alone.

        Rows are equal if they differ only in capitals and spaces, whatever the form of the text.
        """
        total, path = len(whole.rows), self._own.paths[whole.field]
        sizes = {"validation": int(total * validation), "test": int(total * test)}
        if not sizes["validation"]:
            raise UserError(
                f"data.validation_fraction={validation}: of {total} rows none is left for "
                "validation"
            )
        bounds = [0, total - sum(sizes.values()), total - sizes["test"], total]
        columns = [list(map(lower_words, lines)) for lines in whole.columns.values()]
        keys = list(zip(*columns, strict=True))
        later: set[tuple[str, ...]] = set()
        kept: dict[str, list[int]] = {}
        for split, first, end in reversed(list(zip(SPLITS, bounds, bounds[1:], strict=False))):
            kept[split] = [row for row in range(first, end) if keys[row] not in later]
            later.update(keys[first:end])
        left_out = total - sum(map(len, kept.values()))
        if left_out:
            _log.warning(
                "%s: %d of %d rows occur again in what is held out after them and are left out",
                *(path, left_out, total),
            )
        for split in ("train", "validation"):
            if not kept[split]:
                raise UserError(
                    f"data.{whole.field}={path}: each row of the {split} split occurs again in "
                    "what is held out after it"
                )
        return {s: dataclasses.replace(whole, rows=rows) for s, rows in kept.items() if rows}


@dataclasses.dataclass(frozen=True)
class _Part:
    """Rows of files that make a split; the files are those of a config field."""

    field: str
    columns: dict[str, list[str]]
    rows: list[int]
