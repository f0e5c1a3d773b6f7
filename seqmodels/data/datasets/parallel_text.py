"""`parallel_text`: the user's own pairs, two UTF-8 files; line i of one translates line i."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from seqmodels.config.data import PairsDataConfig, TextForm
from seqmodels.config.errors import UserError
from seqmodels.data.datasets.pair_source import Pairs, PairSource, bring
from seqmodels.data.datasets.text_file import find_file, open_or_explain, read_filled

_log = logging.getLogger(__name__)
SPLITS = ("train", "validation", "test")


class ParallelText:
    """Lines end with a line feed, or with a carriage return and a line feed; neither is text."""

    @classmethod
    def source(cls, config: PairsDataConfig) -> PairSource:
        """Returns the files that `config` names.

        Raises:
          UserError: a path leads nowhere, or to more than one file.
        """
        return _ParallelText(config)

    @classmethod
    def prepare(cls, config: PairsDataConfig) -> None:
        """Nothing to download."""
        del config


class _ParallelText:
    def __init__(self, config: PairsDataConfig) -> None:
        self._fractions = (config.validation_fraction, config.test_fraction)
        self._whole = config.source_path is not None
        paths = {"": (config.source_path, config.target_path)}
        if not self._whole:
            paths = {
                "train_": (config.train_source_path, config.train_target_path),
                "validation_": (config.validation_source_path, config.validation_target_path),
                "test_": (config.test_source_path, config.test_target_path),
            }
        self._files = {
            start.removesuffix("_"): (
                _find(f"{start}source_path", source),
                _find(f"{start}target_path", target),
            )
            for start, (source, target) in paths.items()
            if source is not None or target is not None
        }
        shown = [f"{source} -> {target}" for source, target in self._files.values()]
        self.description = ", ".join(shown)
        self._rows: dict[str, list[int]] = {}

    def fingerprint(self) -> str:
        digest = hashlib.sha256(repr((self._fractions, 1) if self._whole else None).encode())
        for split, files in self._files.items():
            for file in files:
                with open_or_explain(file) as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
            digest.update(split.encode())
        return digest.hexdigest()

    def pairs(self) -> Pairs:
        found = {split: _read_pair(*files) for split, files in self._files.items()}
        return self._cut(*found[""]) if self._whole else found

    def _cut(self, sources: list[str], targets: list[str]) -> Pairs:
        """Train comes first, test last; the last part alone has a pair that comes again.

        Pairs are the same that differ in capitals and spaces only, in any form.
        """
        total = len(sources)
        validation, test = (int(total * fraction) for fraction in self._fractions)
        if not validation:
            raise UserError(
                f"data.validation_fraction={self._fractions[0]}: of {total} pairs none is left "
                "for validation"
            )
        bounds = [0, total - validation - test, total - test, total]
        alike = [
            [bring(text, TextForm.LOWER_WORDS) for text in side] for side in (sources, targets)
        ]
        pairs = list(zip(*alike, strict=False))  # `_read_pair` has counted them
        later: set[tuple[str, ...]] = set()
        for split, first, end in reversed(list(zip(SPLITS, bounds, bounds[1:], strict=False))):
            self._rows[split] = [row for row in range(first, end) if pairs[row] not in later]
            later.update(pairs[first:end])
        left_out = total - sum(map(len, self._rows.values()))
        if left_out:
            _log.warning(
                "%s: %d of %d pairs come again in what is held out behind them and are left out",
                *(self.description, left_out, total),
            )
        for split in ("train", "validation"):
            if not self._rows[split]:
                raise UserError(
                    f"data.source_path={self._files[''][0]}: each pair of the {split} split comes "
                    "again in what is held out behind it"
                )
        return {
            split: ([sources[row] for row in rows], [targets[row] for row in rows])
            for split, rows in self._rows.items()
            if rows
        }

    def name(self, split: str, index: int) -> str:
        if self._whole and not self._rows:
            self.pairs()  # the token store has spared it: which lines are of a split?
        source, _ = self._files["" if self._whole else split]
        return f"{source}, line {(self._rows[split][index] if self._whole else index) + 1}"


def _find(field: str, path: str | None) -> Path:
    if path is None:
        raise UserError(f"data.{field}=none: must be a file")
    return find_file(f"data.{field}", path)


def _read_pair(source: Path, target: Path) -> tuple[list[str], list[str]]:
    sources, targets = read_lines(source), read_lines(target)
    if len(sources) != len(targets):
        raise UserError(
            f"{source} has {len(sources)} lines, {target} has {len(targets)}: line i of one must "
            "be the translation of line i of the other"
        )
    return sources, targets


def read_lines(file: Path) -> list[str]:
    """Reads the lines of a UTF-8 file.

    Raises:
      UserError: names the file and the line that is empty or no text.
    """
    lines = read_filled(file).removesuffix("\n").split("\n")
    lines = [line.removesuffix("\r") for line in lines]
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise UserError(f"{file}, line {number}: is empty; every line needs a text")
    return lines
