"""Data of whole examples that several config files share: texts, images, series, sounds; pairs."""

from __future__ import annotations

import dataclasses
from typing import Any

from seqmodels.config.data import ExamplesDataConfig
from seqmodels.config.features import (
    ImageConfig,
    ImageReading,
    LabelConfig,
    TokenizerKind,
    TokensConfig,
    ValuesConfig,
)
from seqmodels.config.sound import SoundConfig


def classified_texts(
    name: str, inputs: TokensConfig | None = None, **data: Any
) -> ExamplesDataConfig:
    """Texts of words with a class each; your own files give a tenth each to validation and test."""
    return ExamplesDataConfig(
        name=name,
        inputs=TokensConfig(tokenizer=TokenizerKind.WORD) if inputs is None else inputs,
        targets=LabelConfig(),
        **{"validation_fraction": 0.1, "test_fraction": 0.1, **data},
    )


def classified_images(name: str, size: int | None = None, **data: Any) -> ExamplesDataConfig:
    """Images with a class each; a tenth of a catalog's training split is for validation."""
    splits = {"train_split": "train[:90%]", "validation_split": "train[90%:]"}
    inputs = ImageConfig(size=size)
    return ExamplesDataConfig(name=name, inputs=inputs, targets=LabelConfig(), **splits, **data)


def classified_series(
    name: str, length: int, column: str = "values", **data: Any
) -> ExamplesDataConfig:
    """Series of up to `length` steps with a class each."""
    return ExamplesDataConfig(
        name=name,
        inputs=ValuesConfig(column=column, max_length=length),
        targets=LabelConfig(),
        **{"validation_fraction": 0.1, "test_fraction": 0.1, "max_shapes": 1, **data},
    )


def classified_sounds(
    name: str, sample_rate: int, length: int, column: str = "sound", **data: Any
) -> ExamplesDataConfig:
    """Sounds of up to `length` frames with a class each; a tenth of your own files is held out for
    validation, and another for the test."""
    return ExamplesDataConfig(
        name=name,
        inputs=SoundConfig(column=column, sample_rate=sample_rate, max_length=length),
        targets=LabelConfig(),
        **{"validation_fraction": 0.1, "test_fraction": 0.1, **data},
    )


def read_images(name: str, reading: ImageReading, **data: Any) -> ExamplesDataConfig:
    """Images with a class each that are read as images, or as sequences of rows or pixels."""
    splits = {"train_split": "train[:90%]", "validation_split": "train[90%:]"}
    inputs = ImageConfig(reading=reading)
    return ExamplesDataConfig(name=name, inputs=inputs, targets=LabelConfig(), **splits, **data)


def pairs(
    name: str,
    source: str = "source",
    target: str = "target",
    tokens: TokensConfig | None = None,
    *,
    shared: bool = True,
    source_length: int = 64,
    target_length: int = 64,
    **data: Any,
) -> ExamplesDataConfig:
    """Pairs of texts.

    Args:
      source, target: names of the columns.
      tokens: settings of both sides; none = characters.
      shared: whether both sides have one vocabulary.
      source_length, target_length: bounds, in tokens; the target's <eos> counts.
    """
    side = TokensConfig() if tokens is None else tokens
    first = dataclasses.replace(side, column=source, max_length=source_length)
    if shared:
        form = side.form
        kind = TokenizerKind.SHARED
        first = TokensConfig(column=source, tokenizer=kind, form=form, max_length=source_length)
    second = dataclasses.replace(side, column=target, max_length=target_length)
    return ExamplesDataConfig(name=name, source=first, targets=second, **data)


def captioned_images(
    name: str,
    image: str = "image",
    caption: str = "caption",
    *,
    size: int | None = None,
    words: TokensConfig | None = None,
    **data: Any,
) -> ExamplesDataConfig:
    """Images with a caption each, in words; your own files give a tenth each to validation and
    test.

    Args:
      image, caption: names of the columns.
      size: that images are resized to.
      words: settings of the captions; none = all words as they are written.
    """
    target = TokensConfig(tokenizer=TokenizerKind.WORD) if words is None else words
    return ExamplesDataConfig(
        name=name,
        source=ImageConfig(column=image, size=size),
        targets=dataclasses.replace(target, column=caption),
        **{"validation_fraction": 0.1, "test_fraction": 0.1, "max_shapes": 1, **data},
    )
