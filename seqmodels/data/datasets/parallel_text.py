"""`parallel_text`: the user's own pairs, two UTF-8 files; line i of one translates line i."""

from __future__ import annotations

import hashlib
from pathlib import Path

from seqmodels.config.data import PairsDataConfig
from seqmodels.config.errors import UserError
from seqmodels.data.datasets.pair_source import Pairs, PairSource
from seqmodels.data.datasets.text_file import find_file, open_or_explain, read_filled

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
        self._firsts: dict[str, int] = dict.fromkeys(SPLITS, 0)

    def fingerprint(self) -> str:
        digest = hashlib.sha256(repr(self._fractions if self._whole else None).encode())
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
        """Train comes first, test last."""
        total = len(sources)
        validation, test = (int(total * fraction) for fraction in self._fractions)
        if not validation:
            raise UserError(
                f"data.validation_fraction={self._fractions[0]}: of {total} pairs none is left "
                "for validation"
            )
        bounds = [0, total - validation - test, total - test, total]
        self._firsts = dict(zip(SPLITS, bounds, strict=False))
        cut = {
            split: (sources[first:end], targets[first:end])
            for split, first, end in zip(SPLITS, bounds, bounds[1:], strict=False)
        }
        return {split: both for split, both in cut.items() if both[0]}

    def name(self, split: str, index: int) -> str:
        if self._whole:
            self.pairs()  # the token store may have spared it: where does a split start?
        source, _ = self._files["" if self._whole else split]
        return f"{source}, line {self._firsts[split] + index + 1}"


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
