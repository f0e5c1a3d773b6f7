"""`tfds:NAME`: features of a TFDS catalog data set, prepared in array_record form, as columns."""

from __future__ import annotations

import dataclasses
import functools
import io
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from seqmodels.config.data import DataConfig
from seqmodels.config.errors import UserError, suggest
from seqmodels.data.datasets import prepared
from seqmodels.data.datasets.dataset import BuiltInDataset, Splits
from seqmodels.data.datasets.prepared import Prepared, quiet
from seqmodels.data.image_file import read_pixels
from seqmodels.data.sound_file import Recording, make_recording


class Catalog(BuiltInDataset):
    """The examples of a split, in order. For NAME see `prepared`.

    A column is a feature: text, a class, an image or a sound. A feature that is a list of texts,
    such as `captions/text`, gives as many rows, each with the other columns of the example. Several
    text features separated by commas are one column of texts with one line per feature. Where the
    texts of a split are one stream, a text is kept exactly; otherwise white space around it is
    removed and it must not be empty.

    Raises:
      UserError: the data set is not prepared (the line says how to).
    """

    def __init__(self, config: DataConfig) -> None:
        self._columns, self._is_stream = config.columns(), config.streams()
        self._set = Prepared(config)
        self._owners: dict[str, np.ndarray] = {}
        self.description = f"{self._set.name} in {self._set.directory}"

    @classmethod
    def open(cls, config: DataConfig) -> Catalog:
        return cls(config)

    @classmethod
    def prepare(cls, config: DataConfig) -> None:
        """Has TFDS download and prepare the data set unless it is there; see `prepared.prepare`."""
        prepared.prepare(config)

    def fingerprint(self) -> str:
        names = [_parts(name) for name in self._columns.values()]
        return self._set.fingerprint([self._is_stream, names])

    def splits(self) -> Splits:
        import tensorflow_datasets as tfds

        for field, name in self._columns.items():
            self._check(field, name)
        # Only the images that are asked for are decoded, when they are read.
        kind, skip = tfds.features.Image, tfds.decode.SkipDecoding()
        images = {name: skip for name, of in self._features.items() if isinstance(of, kind)}
        with quiet():
            found = self._set.examples(self._builder, decoders=images or None)
            return {split: self._read(split, *of) for split, of in found.items()}

    def classes(self, column: str) -> tuple[str, ...] | None:
        from tensorflow_datasets.core.features import ClassLabel

        feature = self._features.get(column)
        return tuple(map(str, feature.names)) if isinstance(feature, ClassLabel) else None

    def locate(self, split: str, row: int) -> str:
        example = int(self._owners[split][row]) if split in self._owners else row
        return f"example {example} of the {split} split of {self._set.name}"

    @functools.cached_property
    def _builder(self) -> Any:
        with quiet():
            return self._set.open()

    @functools.cached_property
    def _features(self) -> dict[str, Any]:
        return dict(self._builder.info.features.items())

    @functools.cached_property
    def _lists(self) -> dict[str, tuple[str, ...]]:
        """Names of features that are lists of texts, and the way to each within an example."""
        from tensorflow_datasets.core.features import FeaturesDict, Sequence, Text

        found: dict[str, tuple[str, ...]] = {}
        for name, feature in self._features.items():
            if not isinstance(feature, Sequence):
                continue
            if isinstance(feature.feature, Text):
                found[name] = (name,)
            elif isinstance(feature.feature, FeaturesDict):
                parts = [n for n, of in feature.feature.items() if isinstance(of, Text)]
                found |= {f"{name}/{part}": (name, part) for part in parts}
        return found

    def _check(self, field: str, name: str) -> None:
        """Raises UserError where a column is not in the data set, or of no kind that is read."""
        from tensorflow_datasets.core.features import Audio, ClassLabel, Image, Text

        only_text = self._is_stream or len(_parts(name)) > 1
        kinds = (Text,) if only_text else (Text, ClassLabel, Image, Audio)
        known = [n for n, feature in self._features.items() if isinstance(feature, kinds)]
        known = sorted([*known, *(() if only_text else self._lists)])
        where = self._set.name
        lists = [other for other in self._columns.values() if other in self._lists]
        if len(lists) > 1 and name == lists[1]:
            raise UserError(f"data.{field}={name}: is a list of texts, and so is {lists[0]}")
        for part in _parts(name):
            if part not in self._features and part not in self._lists:
                choices = suggest(part, known) if known else ""
                found = ", ".join(sorted(self._features))
                raise UserError(f"data.{field}={name}: {where} has {found}{choices}")
            if part not in known:
                what = "text" if only_text else "text, a class, an image or a sound"
                raise UserError(
                    f"data.{field}={name}: {part} is not {what}; {what} in {where}: "
                    f"{', '.join(known) or 'none'}"
                )

    def _read(self, split: str, field: str, examples: Any) -> dict[str, Any]:
        """The columns of a split, which `field` names."""
        from tensorflow_datasets.core.features import Audio, ClassLabel, Image

        if not len(examples):
            raise UserError(f"{field}: {self._set.name} has no example there")
        names = list(dict.fromkeys(self._columns.values()))
        kinds = {name: self._features.get(name) for name in names}
        images = [name for name in names if isinstance(kinds[name], Image)]
        lists = [name for name in names if name in self._lists]
        read = {name: self._reader(name) for name in names if name not in (*images, *lists)}
        columns: dict[str, Any] = {name: [] for name in (*read, *lists)}
        counts = []
        for where, example in self._set.rows(field, examples) if columns else ():
            texts = [self._read_list(example, name, where) for name in lists]
            counts.append(len(texts[0]) if lists else 1)
            for name, found in zip(lists, texts, strict=True):
                columns[name] += found
            for name in read:
                columns[name] += [read[name](example, name, where)] * counts[-1]
        rows = np.repeat(np.arange(len(counts)), counts) if lists else np.arange(len(examples))
        if lists:
            self._owners[split] = rows
        for name, column in columns.items():
            if isinstance(kinds[name], ClassLabel):
                columns[name] = np.array(column, np.int32)
            elif not isinstance(kinds[name], Audio) and not any(text.strip() for text in column):
                raise UserError(f"{field}: {self._set.name} has no text there")
        columns |= {name: self._open_images(field, name, examples, rows) for name in images}
        return {name: columns[name] for name in names}

    def _reader(self, name: str) -> Callable[[Any, str, str], Any]:
        """How a column is read from an example."""
        from tensorflow_datasets.core.features import Audio, ClassLabel

        feature = self._features.get(name)
        if isinstance(feature, ClassLabel):
            return self._read_class
        return self._read_sound if isinstance(feature, Audio) else self._read_text

    def _read_class(self, example: Any, name: str, where: str) -> int:
        number = int(example[name])
        if not 0 <= number < len(self._features[name].names):
            raise UserError(
                f"{where} has no class but {number}: a split without classes cannot be used "
                "(data.test_split may be none)"
            )
        return number

    def _read_sound(self, example: Any, name: str, where: str) -> Recording:
        rate, samples = self._features[name].sample_rate, np.asarray(example[name])
        if not rate:
            raise UserError(f"{self._set.name} states no sample rate of {name}")
        if samples.dtype.itemsize > 2 and np.issubdtype(samples.dtype, np.integer):
            # What TFDS keeps in wider integers are the samples of the file, mostly of 16 bits.
            narrow = samples.astype(np.int16)
            if (narrow != samples).any():
                raise UserError(f"{where} has a sample of more than 16 bits in {name}")
            samples = narrow
        try:
            return make_recording(samples, int(rate))
        except UserError as error:
            raise UserError(f"{where}: {name} {error}") from None

    def _read_text(self, example: Any, name: str, where: str) -> str:
        texts = [prepared.read_text(example[part], where) for part in _parts(name)]
        text = texts[0] if len(texts) == 1 else "".join(f"{text}\n" for text in texts)
        if self._is_stream:
            return text
        if not text.strip():
            raise UserError(f"{where} has no {name}")
        return text.strip()

    def _read_list(self, example: Any, name: str, where: str) -> list[str]:
        value = example
        for part in self._lists[name]:
            value = value[part]
        texts = [prepared.read_text(text, where).strip() for text in value]
        if not texts or "" in texts:
            raise UserError(f"{where} has {'an empty text in' if texts else 'no'} {name}")
        return texts

    def _open_images(self, field: str, name: str, examples: Any, rows: np.ndarray) -> _Images:
        feature = self._features[name]
        height, width, channels = feature.shape
        if channels is None:
            channels = 3
        if feature.np_dtype != np.uint8 or channels not in (1, 3):
            raise UserError(
                f"{field}: {name} of {self._set.name} has images of {channels} channels of "
                f"{np.dtype(feature.np_dtype)}; 1 or 3 channels of uint8 can be read"
            )
        where = f"{field}: {self._set.name}"
        return _Images(examples, rows, name, (height, width, channels), where)


@dataclasses.dataclass(frozen=True)
class _Images:
    """Images that are decoded when they are read.

    Attributes:
      examples: of a split.
      rows: the example of each row, [n].
      name: of the feature.
      shape: height, width and channels; None where the data set does not state them.
      where: for errors.
    """

    examples: Any
    rows: np.ndarray
    name: str
    shape: tuple[int | None, int | None, int]
    where: str
    is_generated = False

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, at: Int[np.ndarray, " n"]) -> list[UInt8[np.ndarray, "H W C"]]:
        """Returns the images of these rows; raises UserError where one cannot be read."""
        rows, images = self.rows[at].tolist(), []
        for row, example in zip(rows, self.examples.__getitems__(rows), strict=True):
            try:
                images.append(read_pixels(io.BytesIO(example[self.name]), self.shape[2]))
            except UserError as error:
                raise UserError(f"{self.where}, image {row}: {error}") from None
        return images


def _parts(name: str) -> list[str]:
    """Features of a column."""
    return [part.strip() for part in name.split(",")]
