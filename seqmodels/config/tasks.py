"""Typed settings of the tasks: forward, loss and metrics of one kind of problem."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

from seqmodels.config.fields import fraction, number


@dataclasses.dataclass
class TaskConfig:
    """Base of all task configs.

    Class attributes:
      kind: name in the registry.
      reads: kinds of data that it goes with.
      causal: True: the model must not see what stands behind a token; False: it must; None: either.
      best_metrics: metrics of a validation split of which lower is better.
    """

    kind: ClassVar[str] = ""
    reads: ClassVar[tuple[str, ...]] = ("text",)
    causal: ClassVar[bool | None] = None
    best_metrics: ClassVar[tuple[str, ...]] = ("loss", "perplexity")

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yields (field, what is allowed) where fields of the task do not go together."""
        yield from ()


@dataclasses.dataclass
class LanguageModelConfig(TaskConfig):
    """Next-token prediction. `label_smoothing` moves that share of the target's mass to the
    uniform distribution in training; evaluation never smooths."""

    kind: ClassVar[str] = "language_model"
    causal: ClassVar[bool | None] = True
    best_metrics: ClassVar[tuple[str, ...]] = ("loss", "perplexity", "bits_per_byte")
    label_smoothing: float = fraction(0.0)


@dataclasses.dataclass
class MaskedLanguageModelConfig(TaskConfig):
    """Guessing hidden tokens (BERT). A share `mask_rate` of the tokens is chosen; of the chosen,
    `mask_share` become the mask token, `random_share` a random one, and the others stay."""

    kind: ClassVar[str] = "masked_language_model"
    causal: ClassVar[bool | None] = False
    mask_rate: float = number(0.15, above=0, below=1)
    mask_share: float = number(0.8, least=0, most=1)
    random_share: float = number(0.1, least=0, most=1)

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.mask_share + self.random_share > 1:
            yield "random_share", f"with task.mask_share={self.mask_share} must be 1 at most in all"


@dataclasses.dataclass
class ClassificationConfig(TaskConfig):
    """One class for the whole of an image or a sequence. `label_smoothing` as in
    `LanguageModelConfig`."""

    kind: ClassVar[str] = "classification"
    reads: ClassVar[tuple[str, ...]] = ("images", "labelled")
    best_metrics: ClassVar[tuple[str, ...]] = ("loss",)
    label_smoothing: float = fraction(0.0)


@dataclasses.dataclass
class TranslationConfig(TaskConfig):
    """A target sequence from a source sequence, trained with teacher forcing. `label_smoothing`
    as in `LanguageModelConfig`."""

    kind: ClassVar[str] = "translation"
    reads: ClassVar[tuple[str, ...]] = ("pairs",)
    causal: ClassVar[bool | None] = True
    label_smoothing: float = fraction(0.0)
