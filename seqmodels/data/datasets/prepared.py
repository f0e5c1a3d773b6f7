"""TFDS catalog data sets prepared in array_record form, read without TensorFlow.

NAME is `dataset`, `dataset/config`, or either with `:version`; the newest one without.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import io
import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock

from seqmodels.config.data import DataConfig
from seqmodels.config.errors import UserError, suggest

_VERSION = re.compile(r"\d+\.\d+\.\d+")
_LONGEST_REASON = 300
_RETRIES = 5  # to reach a server, in some 6 seconds; TFDS retries for minutes by default
_CHUNK = 4096  # examples read in one call: a call an example takes six times as long


def prepare(config: DataConfig) -> None:
    """Has TFDS download and prepare the data set unless it is there.

    Raises:
      UserError: TFDS could not; the line gives its reason.
    """
    root, name = data_dir(config), _catalog_name(config)
    if _find_prepared(root, name) is not None:
        return
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import downloader

    downloader.MAX_RETRIES = _RETRIES
    try:
        root.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(root / ".lock"):
            # A builder that needs TensorFlow prints a long message.
            with contextlib.redirect_stdout(io.StringIO()):
                builder = tfds.builder(name, data_dir=str(root))
            # TFDS reports on stdout, which is for answers.
            with contextlib.redirect_stdout(sys.stderr), _silent_retries():
                builder.download_and_prepare(file_format="array_record")
    except Exception as error:
        # A catalog builder may raise anything.
        line = f"data.name={config.name}: TFDS cannot prepare it here ({_reason(error)})"
        call = f"where it can, do {_call(name)}, and name DIR by data.tfds_data_dir"
        near = difflib.get_close_matches(name, prepared_names(root), n=1)
        meant = f"; or did you mean {near[0]!r}, which is in {root}?" if near else ""
        raise UserError(f"{line}; {call}{meant}") from None


@contextlib.contextmanager
def _silent_retries() -> Iterator[None]:
    """Silences the warnings about further attempts to reach a server."""
    logger = logging.getLogger("urllib3")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _reason(error: Exception) -> str:
    """The reason of a builder's failure: mostly no network, no TensorFlow, or no such name."""
    text, kind = " ".join(str(error).split()), type(error).__name__
    if kind == "DatasetNotFoundError":  # lists all that exist
        return "it knows no such data set, or none that needs no TensorFlow"
    if isinstance(error, ImportError) and "tensorflow" in text:
        return "its builder needs TensorFlow"
    return f"{kind}: {text}"[:_LONGEST_REASON]


def _call(name: str) -> str:
    return f"tfds.builder({name!r}, data_dir=DIR).download_and_prepare(file_format='array_record')"


class Prepared:
    """A data set on disk; TFDS is imported only when it is read.

    Args:
      config: names it, as KIND:NAME.

    Attributes:
      name: NAME.
      directory: of its files.

    Raises:
      UserError: it is not prepared (the line says how to).
    """

    def __init__(self, config: DataConfig) -> None:
        self.name, root = _catalog_name(config), data_dir(config)
        directory = _find_prepared(root, self.name)
        if directory is None:
            raise UserError(_explain_unprepared(root, config.name))
        self.directory = directory
        self._expressions: dict[str, str | None] = {
            "train": config.train_split,
            "validation": config.validation_split,
            "test": config.test_split,
        }

    def fingerprint(self, settings: Any) -> str:
        """Returns a hash of the files, the splits and `settings` (JSON)."""
        # Of the files, not the examples: while a store has them, TFDS need not be imported.
        digest = hashlib.sha256(json.dumps([self.name, settings, self._expressions]).encode())
        for file in sorted(self.directory.iterdir()):
            if file.is_file():
                with open(file, "rb") as stream:
                    digest.update(file.name.encode())
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest()

    def open(self) -> Any:
        """Returns the TFDS builder. Call it under `quiet`, and all that reads it too."""
        import tensorflow_datasets as tfds

        try:
            with sounds_without_tensorflow():
                return tfds.builder_from_directory(str(self.directory))
        except Exception as error:
            raise UserError(f"{self.directory}: TFDS cannot read it ({error})") from None

    def examples(self, builder: Any, **options: Any) -> dict[str, tuple[str, Any]]:
        """Returns the field, for errors, and the examples of each split that the config names.

        Args:
          options: of `builder.as_data_source`.

        Raises:
          UserError: no such split, or not in array_record form.
        """
        return {
            split: self._read(builder, split, expression, options)
            for split, expression in self._expressions.items()
            if expression is not None
        }

    def rows(self, field: str, examples: Any) -> Iterator[tuple[str, Any]]:
        """Yields the place of each example, for errors, and the example."""
        for first in range(0, len(examples), _CHUNK):
            numbers = list(range(first, min(first + _CHUNK, len(examples))))
            for index, example in zip(numbers, examples.__getitems__(numbers), strict=True):
                yield f"{field}: example {index} of {self.name}", example

    def _read(
        self, builder: Any, split: str, expression: str, options: dict[str, Any]
    ) -> tuple[str, Any]:
        field = f"data.{split}_split={expression}"
        known = builder.info.splits
        names = re.findall(r"[A-Za-z_]\w*(?=\s*(?:\[|\+|$))", expression)
        for name in names:
            if name not in known and name != "all":
                raise UserError(f"{field}: {self.name} has no {name!r}{suggest(name, known)}")
        try:
            return field, builder.as_data_source(split=expression, **options)
        except (NotImplementedError, ImportError) as error:
            reason = " ".join(str(error).split())[:_LONGEST_REASON]
            raise UserError(f"{self.directory}: not in array_record form ({reason})") from None
        except Exception as error:
            reason = " ".join(str(error).split())[:_LONGEST_REASON]
            raise UserError(f"{field}: TFDS rejects it ({reason})") from None


def read_text(value: bytes, where: str) -> str:
    """Decodes a text; raises UserError, which says `where`, if it is not UTF-8."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{where} is not UTF-8 at byte {error.start}") from None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences TFDS: its routine warnings, its progress bars, and its reports on stdout."""
    import tensorflow_datasets as tfds

    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def sounds_without_tensorflow() -> Iterator[None]:
    """Lets TFDS make features of sounds.

    It stores the samples of a sound as an array and has nothing to decode, but its decoder imports
    TensorFlow as soon as the feature is made. Sounds that are stored as files (`lazy_decode`) need
    TensorFlow all the same.
    """
    from tensorflow_datasets.core.features import audio_feature

    class Stored:
        def __init__(self, **kwargs: Any) -> None: ...

    decoder = audio_feature._EagerDecoder
    audio_feature._EagerDecoder = Stored
    try:
        yield
    finally:
        audio_feature._EagerDecoder = decoder


def data_dir(config: DataConfig) -> Path:
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


def _catalog_name(config: DataConfig) -> str:
    kind, _, name = config.name.partition(":")
    if not re.fullmatch(r"[\w-]+(/[\w.-]+)?(:[\d.]+)?", name):
        raise UserError(
            f"data.name={config.name}: must be {kind}:NAME, NAME/CONFIG or NAME:VERSION"
        )
    return name


def _find_prepared(root: Path, name: str) -> Path | None:
    folder, _, version = name.partition(":")
    infos = (root / folder).glob("*/dataset_info.json")
    versions = [info.parent for info in infos if _VERSION.fullmatch(info.parent.name)]
    if version:
        versions = [found for found in versions if found.name == version]
    return max(versions, key=lambda found: tuple(map(int, found.name.split("."))), default=None)


def _explain_unprepared(root: Path, full_name: str) -> str:
    kind, _, name = full_name.partition(":")
    names = prepared_names(root)
    line = f"data.name={full_name}: not prepared in {root}"
    configs = [found for found in names if found.startswith(f"{name}/")]
    near = configs or difflib.get_close_matches(name, names, n=1)
    if near:
        return f"{line}; did you mean {' or '.join(f'{kind}:{found}' for found in near)}?"
    there = f" (prepared there: {', '.join(names)})" if names else " (nothing is prepared there)"
    return f"{line}{there}; `python launch.py prepare --config=...` tries to, or do {_call(name)}"
