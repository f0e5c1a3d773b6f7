"""The user's own files: one that is cut into splits, or one per split."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from seqmodels.config.data import DataConfig
from seqmodels.config.errors import UserError
from seqmodels.data.datasets.dataset import SPLITS, hash_fraction
from seqmodels.files import open_or_explain

SPLIT_FIELDS = {"train": "train_path", "validation": "validation_path", "test": "test_path"}
T = TypeVar("T")


def digest_files(how: str, files: Mapping[str, Path]) -> str:
    """A hash of how files are read, and of the content and the ending of each.

    Args:
      files: config field -> file.
    """
    digest = hashlib.sha256(how.encode())
    for field, file in files.items():
        with open_or_explain(file) as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{field} {file.suffix} {content}".encode())
    return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class OwnFiles:
    """Paths of a config and the fractions that are held out.

    Attributes:
      paths: config field -> path: `path` alone; `train_path`, and `validation_path` or
        `test_path` or both; or, to evaluate a run on other files, `test_path` alone.
      fractions: validation and test fraction of `path`, or, where `validation_path` is missing, of
        `train_path`; None where nothing is cut.
    """

    paths: dict[str, str]
    fractions: tuple[float, float] | None

    @classmethod
    def of(cls, config: DataConfig, what: str, *, needs_validation: bool = False) -> OwnFiles:
        """Returns the paths of `config`.

        Args:
          config: of the data.
          what: a path's content, for messages: "a UTF-8 file".
          needs_validation: whether a validation fraction of 0 is refused.

        Raises:
          UserError: the fields contradict each other, or one is missing.
        """
        fields = {
            "path": config.path,
            "train_path": config.train_path,
            "validation_path": config.validation_path,
            "test_path": config.test_path,
        }
        paths = {field: path for field, path in fields.items() if path is not None}
        _check_paths(list(paths), config.name, what)
        _check_fractions(config)
        if "validation_path" in paths or list(paths) == ["test_path"]:
            return cls(paths, None)
        if needs_validation and not config.validation_fraction:
            raise UserError(
                f"data.validation_fraction=0: must be above 0 with data.{next(iter(paths))}"
            )
        test = config.test_fraction if "path" in paths else 0.0
        return cls(paths, (config.validation_fraction, test))

    @property
    def train_field(self) -> str:
        """The config field of the training files, from which `fractions` are cut."""
        return next(iter(self.paths))

    def arrange(
        self, found: dict[str, T], cut: Callable[[T, float, float], dict[str, T]]
    ) -> dict[str, T]:
        """Returns the content of each split.

        Args:
          found: config field -> content of its files.
          cut: cuts the content of one field into splits by the two fractions.
        """
        splits = {split: found[field] for split, field in SPLIT_FIELDS.items() if field in found}
        if self.fractions is not None:
            splits |= cut(found[self.train_field], *self.fractions)
        return {split: splits[split] for split in SPLITS if split in splits}


def deal_rows(keys: Sequence[str], validation: float, test: float) -> dict[str, list[int]]:
    """Assigns rows to splits by a hash of their keys: rows of equal keys are in one split.

    Args:
      keys: one per row.
      validation, test: fractions.

    Raises:
      UserError: a split that should have rows has none.
    """
    rows: dict[str, list[int]] = {split: [] for split in SPLITS}
    for row, key in enumerate(keys):
        drawn = hash_fraction(key)
        held_out = "validation" if drawn < validation else "test"
        rows[held_out if drawn < validation + test else "train"].append(row)
    for split, fraction in (("validation", validation), ("test", test)):
        if fraction and not rows[split]:
            raise UserError(
                f"data.{split}_fraction={fraction}: none of {len(keys)} examples falls into the "
                f"{split} split"
            )
    if not rows["train"]:
        raise UserError(
            f"data.validation_fraction={validation} and data.test_fraction={test}: none of "
            f"{len(keys)} examples falls into the train split"
        )
    return {split: found for split, found in rows.items() if found}


def _check_paths(given: list[str], name: str, what: str) -> None:
    if "path" in given:
        if len(given) > 1:
            raise UserError(f"data.path and data.{given[1]}: name the files by one or the other")
        return
    if given == ["test_path"]:
        return
    if "train_path" not in given:
        alternative = "" if given else "data.path, or "
        raise UserError(f"data.name={name}: {alternative}data.train_path must name {what}")
    if len(given) == 1:
        raise UserError(
            f"data.name={name}: data.validation_path must name {what}; with data.test_path alone, "
            "data.validation_fraction of data.train_path is held out"
        )


def _check_fractions(config: DataConfig) -> None:
    validation, test = config.validation_fraction, config.test_fraction
    for name, value in (("validation_fraction", validation), ("test_fraction", test)):
        if not 0 <= value < 1:
            raise UserError(f"data.{name}={value}: must be at least 0 and less than 1")
    if validation + test >= 1:
        raise UserError(
            f"data.validation_fraction={validation} and data.test_fraction={test}: together they "
            "must be less than 1, or nothing is left to train on"
        )
