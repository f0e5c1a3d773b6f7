"""`tfds:NAME`: text of a TFDS catalog data set, prepared in array_record form."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import filelock

from seqmodels.config.data import TextDataConfig
from seqmodels.config.errors import UserError, suggest
from seqmodels.data.datasets.source import Documents, TextSource, quiet

_VERSION = re.compile(r"\d+\.\d+\.\d+")
_LONGEST_REASON = 300


class Catalog:
    """NAME is `dataset`, `dataset/config`, or either with `:version`; the newest one without."""

    @classmethod
    def source(cls, config: TextDataConfig, cache: Path) -> TextSource:
        """Returns the prepared data set that `config` names.

        Raises:
          UserError: it is not prepared (the line says how to).
        """
        del cache
        return _CatalogSource(config)

    @classmethod
    def prepare(cls, config: TextDataConfig) -> None:
        """Has TFDS download and prepare the data set unless it is there.

        Raises:
          UserError: TFDS could not; the line gives its reason.
        """
        root, name = data_dir(config), _catalog_name(config)
        if _find_prepared(root, name) is not None:
            return
        import tensorflow_datasets as tfds

        try:
            root.mkdir(parents=True, exist_ok=True)
            # TFDS reports on stdout, which is for answers.
            with filelock.FileLock(root / ".lock"), contextlib.redirect_stdout(sys.stderr):
                builder = tfds.builder(name, data_dir=str(root))
                builder.download_and_prepare(file_format="array_record")
        except Exception as error:
            # Anything may come out of a catalog builder: no network, no TensorFlow, no such name.
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:_LONGEST_REASON]
            raise UserError(f"data.name=tfds:{name}: TFDS cannot prepare it ({reason})") from None


class _CatalogSource:
    def __init__(self, config: TextDataConfig) -> None:
        self._config, self._name, root = config, _catalog_name(config), data_dir(config)
        directory = _find_prepared(root, self._name)
        if directory is None:
            raise UserError(_explain_unprepared(root, self._name))
        self._directory = directory
        self._expressions = {
            "train": config.train_split,
            "validation": config.validation_split,
            "test": config.test_split,
        }
        self.description = f"{self._name} in {directory}"

    def fingerprint(self) -> str:
        # The files, and not the examples: TFDS need not be imported while the store has the tokens.
        digest = hashlib.sha256(
            json.dumps([self._name, self._config.feature, self._expressions]).encode()
        )
        for file in sorted(self._directory.iterdir()):
            if file.is_file():
                with open(file, "rb") as stream:
                    digest.update(file.name.encode())
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest()

    def documents(self) -> Documents:
        import tensorflow_datasets as tfds

        with quiet():
            try:
                builder = tfds.builder_from_directory(str(self._directory))
            except Exception as error:
                raise UserError(f"{self._directory}: TFDS cannot read it ({error})") from None
            self._check_feature(builder.info.features)
            return {
                split: self._read(builder, split, expression)
                for split, expression in self._expressions.items()
                if expression is not None
            }

    def _check_feature(self, features: Any) -> None:
        from tensorflow_datasets.core.features import Text

        field = f"data.feature={self._config.feature}"
        text = [name for name, feature in features.items() if isinstance(feature, Text)]
        if self._config.feature not in features:
            choices = f"{suggest(self._config.feature, text)}" if text else ""
            raise UserError(f"{field}: {self._name} has {', '.join(features)}{choices}")
        if self._config.feature not in text:
            raise UserError(f"{field}: not text; text in {self._name}: {', '.join(text) or 'none'}")

    def _read(self, builder: Any, split: str, expression: str) -> list[str]:
        field = f"data.{split}_split={expression}"
        known = builder.info.splits
        names = re.findall(r"[A-Za-z_]\w*(?=\s*(?:\[|\+|$))", expression)
        for name in names:
            if name not in known and name != "all":
                raise UserError(f"{field}: {self._name} has no {name!r}{suggest(name, known)}")
        try:
            examples = builder.as_data_source(split=expression)
        except (NotImplementedError, ImportError) as error:
            reason = " ".join(str(error).split())[:_LONGEST_REASON]
            raise UserError(f"{self._directory}: not in array_record form ({reason})") from None
        except Exception as error:
            reason = " ".join(str(error).split())[:_LONGEST_REASON]
            raise UserError(f"{field}: TFDS does not take it ({reason})") from None
        texts = []
        for index, example in enumerate(examples):
            try:
                texts.append(example[self._config.feature].decode("utf-8"))
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{field}: example {index} of {self._name} is not UTF-8 at byte {error.start}"
                ) from None
        if not any(texts):
            raise UserError(f"{field}: {self._name} has no text there")
        return texts


def data_dir(config: TextDataConfig) -> Path:
    """Returns data.tfds_data_dir, $SEQMODELS_DATA_DIR/tfds where it exists, or TFDS's own."""
    if config.tfds_data_dir is not None:
        return Path(config.tfds_data_dir).expanduser()
    if "SEQMODELS_DATA_DIR" in os.environ:
        named = Path(os.environ["SEQMODELS_DATA_DIR"]) / "tfds"
        if named.is_dir():
            return named
    return Path(os.environ.get("TFDS_DATA_DIR", Path.home() / "tensorflow_datasets"))


def prepared_names(root: Path) -> list[str]:
    """Returns the names of the data sets under `root` that are prepared, configs included."""
    infos = [*root.glob("*/*/dataset_info.json"), *root.glob("*/*/*/dataset_info.json")]
    folders = {info.parent for info in infos if _VERSION.fullmatch(info.parent.name)}
    return sorted({folder.parent.relative_to(root).as_posix() for folder in folders})


def _catalog_name(config: TextDataConfig) -> str:
    name = config.name.partition(":")[2]
    if not re.fullmatch(r"[\w-]+(/[\w.-]+)?(:[\d.]+)?", name):
        raise UserError(f"data.name={config.name}: must be tfds:NAME, NAME/CONFIG or NAME:VERSION")
    return name


def _find_prepared(root: Path, name: str) -> Path | None:
    folder, _, version = name.partition(":")
    infos = (root / folder).glob("*/dataset_info.json")
    versions = [info.parent for info in infos if _VERSION.fullmatch(info.parent.name)]
    if version:
        versions = [found for found in versions if found.name == version]
    return max(versions, key=lambda found: tuple(map(int, found.name.split("."))), default=None)


def _explain_unprepared(root: Path, name: str) -> str:
    names = prepared_names(root)
    line = f"data.name=tfds:{name}: not prepared in {root}"
    configs = [found for found in names if found.startswith(f"{name}/")]
    near = configs or difflib.get_close_matches(name, names, n=1)
    if near:
        return f"{line}; did you mean {' or '.join(f'tfds:{found}' for found in near)}?"
    there = f" (prepared there: {', '.join(names)})" if names else " (nothing is prepared there)"
    call = f"tfds.builder({name!r}, data_dir=DIR).download_and_prepare(file_format='array_record')"
    return f"{line}{there}; `python launch.py prepare --config=...` tries to, or do {call}"
