"""Typed hyper-parameters: the base of all models, and the models without recurrence or attention.

Sizes that the data decide are not here; a model gets them as a `DataSpec`.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from typing import Any, ClassVar

from seqmodels.config.fields import fraction, number

MAX_ORDER = 64
"""Of an n-gram: evaluation warms a stream up with 256 tokens, which must exceed its context."""


class Activation(enum.StrEnum):
    """gelu is the tanh form (GPT-2), gelu_exact the form with erf (BERT, ViT); swiglu (Llama) and
    geglu (Gemma) are gated by SiLU and by gelu."""

    GELU = "gelu"
    GELU_EXACT = "gelu_exact"
    RELU = "relu"
    SWIGLU = "swiglu"
    GEGLU = "geglu"

    @property
    def gated(self) -> bool:
        """Whether it is the product of a gate and a linear map."""
        return self in (Activation.SWIGLU, Activation.GEGLU)


class Pooling(enum.StrEnum):
    """How a sequence becomes one vector: its last state, the mean or maximum over time, or a mean
    weighted by learned attention."""

    LAST = "last"
    MEAN = "mean"
    MAX = "max"
    ATTENTION = "attention"


class ConvolutionForm(enum.StrEnum):
    """tcn: dilated causal convolutions; text_cnn: convolutions of several widths, maximum over
    time."""

    TCN = "tcn"
    TEXT_CNN = "text_cnn"


class ImageStem(enum.StrEnum):
    """How an image becomes vectors, one for each patch: `linear`, a map of its pixels, or
    `convolutional`, convolutions that see its surroundings too."""

    LINEAR = "linear"
    CONVOLUTIONAL = "convolutional"


def patch_misfits(
    image: Any, patch_size: int, stem: ImageStem = ImageStem.LINEAR
) -> Iterator[tuple[str, str]]:
    """Patches that do not fill the images, or that convolutions of stride 2 do not reach; nothing
    for inputs of another kind."""
    sides = (getattr(image, "height", 0), getattr(image, "width", 0))
    if any(side % patch_size for side in sides):
        yield "patch_size", f"must divide the sides of images of {sides[0]} x {sides[1]} pixels"
    elif stem is ImageStem.CONVOLUTIONAL and (patch_size < 2 or patch_size & (patch_size - 1)):
        yield "patch_size", "must be a power of 2, at least 2, with stem=convolutional"


@dataclasses.dataclass
class ModelConfig:
    """Base of all model configs.

    Class attributes:
      kind: name in the registry; JSON stores it.
      fitted: whether `fit` replaces the training loop (counts instead of gradients).
      unbounded: whether sequences of any length can be read. False where the carry is a cache of
        bounded capacity, or where there is no carry and lengths are bounded.
      inputs: what the model reads, in the words of `DataSpec`: tokens, values, image.
      outputs: what it predicts: vocab, classes, values.
      source: what its encoder reads; empty unless it is an encoder-decoder.
    """

    kind: ClassVar[str] = ""
    fitted: ClassVar[bool] = False
    unbounded: ClassVar[bool] = True
    inputs: ClassVar[tuple[str, ...]] = ("tokens",)
    outputs: ClassVar[tuple[str, ...]] = ("vocab",)
    source: ClassVar[tuple[str, ...]] = ()

    @property
    def causal(self) -> bool:
        """Whether a token sees only the tokens before it, so that the model has a carry."""
        return True

    @property
    def aligns(self) -> bool:
        """Whether the decoder has attention weights over the source."""
        return False

    @property
    def initial_bound(self) -> float | None:
        """Bound of a uniform distribution that every parameter starts with; None = the
        initializers of the layers."""
        return None

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yields (field, what is allowed) where fields of the model contradict each other.

        Types and ranges of single fields have been checked before.
        """
        yield from ()

    def misfits(self, spec: Any) -> Iterator[tuple[str, str]]:
        """Yields (field, what is allowed) where fields do not go with data of this `DataSpec`."""
        del spec
        yield from ()


@dataclasses.dataclass
class NgramConfig(ModelConfig):
    """Interpolated modified Kneser-Ney n-gram.

    Attributes:
      order: n; the context has n - 1 tokens.
    """

    kind: ClassVar[str] = "ngram"
    fitted: ClassVar[bool] = True
    order: int = number(6, least=1, most=MAX_ORDER)


@dataclasses.dataclass
class PerceptronConfig(ModelConfig):
    """One linear map from the input to the outputs, without a hidden layer."""

    kind: ClassVar[str] = "perceptron"
    inputs: ClassVar[tuple[str, ...]] = ("tokens", "values", "image")
    outputs: ClassVar[tuple[str, ...]] = ("vocab", "classes", "values")


@dataclasses.dataclass
class MLPConfig(ModelConfig):
    """Hidden layers on each input separately.

    Attributes:
      num_layers: number of hidden layers.
      model_dim: width of the embedding of a token.
      hidden_dim: width of each hidden layer.
      activation: of each hidden layer.
      dropout_rate: after each hidden layer.
    """

    kind: ClassVar[str] = "mlp"
    inputs: ClassVar[tuple[str, ...]] = ("tokens", "values", "image")
    outputs: ClassVar[tuple[str, ...]] = ("vocab", "classes", "values")
    num_layers: int = 1
    model_dim: int = 128
    hidden_dim: int = 256
    activation: Activation = Activation.RELU
    dropout_rate: float = fraction(0.0)

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.activation.gated:
            yield "activation", "must be relu, gelu or gelu_exact, because an mlp has no gate"


@dataclasses.dataclass
class ConvolutionalConfig(ModelConfig):
    """Convolutional baselines for series and text.

    Attributes:
      form: tcn (causal), residual blocks of two convolutions, dilated 1, 2, 4, ..; or text_cnn (not
        causal), one layer of convolutions of several widths, and the maximum over time.
      num_layers: number of blocks; 1 for a text_cnn.
      model_dim: width of the embedding of an input.
      hidden_dim: channels of each convolution.
      kernel_size: taps of a convolution, of the narrowest in a text_cnn.
      num_kernel_sizes: of a text_cnn: convolutions of kernel_size, kernel_size + 1, .. taps.
      dropout_rate: in each block; of a text_cnn, after the maximum.
    """

    kind: ClassVar[str] = "convolutional"
    inputs: ClassVar[tuple[str, ...]] = ("tokens", "values")
    outputs: ClassVar[tuple[str, ...]] = ("vocab", "classes", "values")
    form: ConvolutionForm = ConvolutionForm.TCN
    num_layers: int = 4
    model_dim: int = 128
    hidden_dim: int = 128
    kernel_size: int = 3
    num_kernel_sizes: int = 3
    dropout_rate: float = fraction(0.0)

    @property
    def causal(self) -> bool:
        return self.form is ConvolutionForm.TCN

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.form is ConvolutionForm.TEXT_CNN and self.num_layers != 1:
            yield "num_layers", "must be 1 with model.form=text_cnn"
