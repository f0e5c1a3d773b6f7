"""Typed hyper-parameters of the models over Transformer blocks."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from typing import Any, ClassVar

from seqmodels.config.fields import fraction, number
from seqmodels.config.models import Activation, ImageStem, ModelConfig, patch_misfits


class NormPlacement(enum.StrEnum):
    PRE = "pre"
    POST = "post"


class Norm(enum.StrEnum):
    LAYER = "layer"
    RMS = "rms"


class Position(enum.StrEnum):
    NONE = "none"
    LEARNED = "learned"
    SINUSOIDAL = "sinusoidal"
    ROTARY = "rotary"
    ALIBI = "alibi"


class EmbeddingTying(enum.StrEnum):
    """Uses of one table. target: the target's embedding and the logits; all: the source's embedding
    too, with one vocabulary for both sides."""

    NONE = "none"
    TARGET = "target"
    ALL = "all"


class ImagePooling(enum.StrEnum):
    CLASS_TOKEN = "class_token"
    MEAN = "mean"


class ImagePosition(enum.StrEnum):
    LEARNED = "learned"
    SINUSOIDAL_2D = "sinusoidal_2d"


_NEAR = 1000  # divisors are looked for this far away, however large model_dim is


def head_problems(
    model_dim: int, num_heads: int, head_dim: int | None = None
) -> Iterator[tuple[str, str]]:
    if head_dim is None and model_dim % num_heads:
        centre = min(num_heads, model_dim)
        about = range(max(1, centre - _NEAR), min(model_dim, centre + _NEAR) + 1)
        divisors = [n for n in about if model_dim % n == 0] or [1, model_dim]
        near = sorted(divisors, key=lambda n: abs(n - num_heads))[:3]
        names = ", ".join(map(str, sorted(near)))
        yield "num_heads", f"must divide model_dim, {model_dim}; the nearest are {names}"


@dataclasses.dataclass
class GPTConfig(ModelConfig):
    """Decoder-only Transformer: GPT-1, GPT-2, Llama.

    Attributes:
      num_layers: number of blocks, L.
      model_dim: width of the vectors between blocks, D.
      num_heads: number of attention heads, H.
      num_kv_heads: heads of keys and values (grouped queries; 1 = multi-query); none = num_heads.
      head_dim: width of a head, K; none = model_dim / num_heads.
      mlp_dim: width of the hidden layer of the feed-forward part, F.
      max_length: number of positions.
      window: number of tokens that a token sees, itself included; none = all before it.
      dropout_rate: of embeddings, attention weights and the output of each part.
      norm: layer normalization, or division by the root mean square.
      norm_epsilon: added to the variance.
      norm_placement: pre = before each part of a block, post = after it is added.
      position: encoding of positions.
      rotary_base: of rotary angles.
      rotary_factor: by which rotary angles are slowed down; 1 = not.
      rotary_original_length: within which the turns of a pair are counted, with a rotary_factor
        (Llama 3.1); none = all pairs are slowed down.
      rotary_low_frequency: turns up to which a pair is slowed down by the whole factor.
      rotary_high_frequency: turns from which on it is not slowed down.
      scale_embeddings: whether token vectors are multiplied by sqrt(D).
      activation: of the feed-forward part.
      use_bias: whether linear maps and layer norms have biases.
      tie_embeddings: whether the embedding table computes the logits.
      remat: whether the backward pass recomputes a block instead of keeping its activations.
    """

    kind: ClassVar[str] = "gpt"
    inputs: ClassVar[tuple[str, ...]] = ("tokens", "values")
    outputs: ClassVar[tuple[str, ...]] = ("vocab", "classes", "values")
    unbounded: ClassVar[bool] = False
    num_layers: int = 4
    model_dim: int = 128
    num_heads: int = 4
    num_kv_heads: int | None = None
    head_dim: int | None = None
    mlp_dim: int = 512
    max_length: int = 64
    window: int | None = None
    dropout_rate: float = fraction(0.0)
    norm: Norm = Norm.LAYER
    norm_epsilon: float = number(1e-5, above=0)
    norm_placement: NormPlacement = NormPlacement.PRE
    position: Position = Position.LEARNED
    rotary_base: float = number(10000.0, above=0)
    rotary_factor: float = number(1.0, above=0)
    rotary_original_length: int | None = None
    rotary_low_frequency: float = number(1.0, above=0)
    rotary_high_frequency: float = number(4.0, above=0)
    scale_embeddings: bool = False
    activation: Activation = Activation.GELU
    use_bias: bool = False
    tie_embeddings: bool = True
    remat: bool = False

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from head_problems(self.model_dim, self.num_heads, self.head_dim)
        size = self.head_dim or self.model_dim // self.num_heads
        if self.position is Position.ROTARY and size % 2:
            yield "position", f"needs heads of an even width, not {size}"
        if self.num_kv_heads is not None and self.num_heads % self.num_kv_heads:
            yield "num_kv_heads", f"must divide num_heads, {self.num_heads}"
        if self.rotary_factor != 1 and self.position is not Position.ROTARY:
            yield "rotary_factor", "is only for model.position=rotary"
        if self.rotary_original_length is not None and self.rotary_factor == 1:
            yield "rotary_original_length", "is only for a model.rotary_factor other than 1"
        if self.rotary_low_frequency >= self.rotary_high_frequency:
            yield (
                "rotary_low_frequency",
                f"must be less than model.rotary_high_frequency, {self.rotary_high_frequency}",
            )
        if self.scale_embeddings and self.position is Position.SINUSOIDAL:
            yield "scale_embeddings", "must be false with sinusoidal positions, which scale anyway"


@dataclasses.dataclass
class BERTConfig(ModelConfig):
    """Bidirectional encoder of tokens or values (BERT).

    Attributes:
      num_layers: number of blocks, L.
      model_dim: width of the vectors between blocks, D.
      num_heads: number of attention heads, H.
      mlp_dim: width of the hidden layer of the feed-forward part, F.
      max_length: number of positions.
      num_token_types: number of vectors that distinguish the sentences of an input.
      next_sentence: whether there is a head for whether the second sentence follows the first;
        imported with its weights, trained by no task here.
      dropout_rate: of embeddings, attention weights and the output of each part.
      norm_epsilon: added to the variance.
      activation: of the feed-forward part.
      remat: whether the backward pass recomputes a block instead of keeping its activations.
    """

    kind: ClassVar[str] = "bert"
    inputs: ClassVar[tuple[str, ...]] = ("tokens", "values")
    outputs: ClassVar[tuple[str, ...]] = ("vocab", "classes", "values")
    unbounded: ClassVar[bool] = False
    num_layers: int = 4
    model_dim: int = 128
    num_heads: int = 4
    mlp_dim: int = 512
    max_length: int = 128
    num_token_types: int = 2
    next_sentence: bool = False
    dropout_rate: float = fraction(0.0)
    norm_epsilon: float = number(1e-12, above=0)
    activation: Activation = Activation.GELU_EXACT
    remat: bool = False

    @property
    def causal(self) -> bool:
        return False

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from head_problems(self.model_dim, self.num_heads)


@dataclasses.dataclass
class ViTConfig(ModelConfig):
    """Vision Transformer: an image is a sequence of patches.

    Attributes:
      patch_size: height and width of a patch, in pixels.
      num_layers: number of blocks, L.
      model_dim: width of the vectors between blocks, D.
      num_heads: number of attention heads, H.
      mlp_dim: width of the hidden layer of the feed-forward part, F.
      pooling: which vector represents the image.
      position: learned, or sines of row and column.
      dropout_rate: of embeddings, attention weights and the output of each part.
      norm_epsilon: added to the variance.
      remat: whether the backward pass recomputes a block instead of keeping its activations.
    """

    kind: ClassVar[str] = "vit"
    inputs: ClassVar[tuple[str, ...]] = ("image",)
    outputs: ClassVar[tuple[str, ...]] = ("classes",)
    patch_size: int = 4
    num_layers: int = 4
    model_dim: int = 128
    num_heads: int = 4
    mlp_dim: int = 512
    pooling: ImagePooling = ImagePooling.CLASS_TOKEN
    position: ImagePosition = ImagePosition.LEARNED
    dropout_rate: float = fraction(0.0)
    norm_epsilon: float = number(1e-6, above=0)
    remat: bool = False

    @property
    def causal(self) -> bool:
        return False

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from head_problems(self.model_dim, self.num_heads)
        if self.position is ImagePosition.SINUSOIDAL_2D and self.model_dim % 4:
            yield (
                "position",
                f"sinusoidal_2d needs a model_dim divisible by 4, not {self.model_dim}",
            )

    def misfits(self, spec: Any) -> Iterator[tuple[str, str]]:
        yield from patch_misfits(spec.inputs, self.patch_size)


@dataclasses.dataclass
class TransformerConfig(ModelConfig):
    """Encoder-decoder Transformer (2017).

    Attributes:
      num_encoder_layers: number of blocks that read the source.
      num_decoder_layers: number of blocks that write the target.
      model_dim: width of the vectors between blocks, D.
      num_heads: number of attention heads, H.
      mlp_dim: width of the hidden layer of the feed-forward part, F.
      max_length: number of positions of the source and of the target.
      dropout_rate: of embeddings, attention weights and the output of each part.
      norm_epsilon: added to the variance.
      norm_placement: pre = before each part of a block, post = after it is added.
      final_norm: whether encoder and decoder end with a norm: pre-norm needs it; with post-norm,
        PyTorch's `nn.Transformer` has it and the paper has not.
      position: encoding of positions of tokens; patches of an image have sines of row and column.
      activation: of the feed-forward part.
      tie_embeddings: which uses share one table.
      patch_size: height and width of a patch of a source of images, in pixels.
      stem: how a patch becomes a vector.
      remat: whether the backward pass recomputes a block instead of keeping its activations.
    """

    kind: ClassVar[str] = "transformer"
    source: ClassVar[tuple[str, ...]] = ("tokens", "values", "image")
    unbounded: ClassVar[bool] = False
    num_encoder_layers: int = 3
    num_decoder_layers: int = 3
    model_dim: int = 256
    num_heads: int = 8
    mlp_dim: int = 512
    max_length: int = 128
    dropout_rate: float = fraction(0.1)
    norm_epsilon: float = number(1e-5, above=0)
    norm_placement: NormPlacement = NormPlacement.POST
    final_norm: bool = False
    position: Position = Position.SINUSOIDAL
    activation: Activation = Activation.RELU
    tie_embeddings: EmbeddingTying = EmbeddingTying.ALL
    patch_size: int = 4
    stem: ImageStem = ImageStem.LINEAR
    remat: bool = False

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from head_problems(self.model_dim, self.num_heads)
        if self.position is Position.ROTARY and self.model_dim // self.num_heads % 2:
            yield "position", "rotary needs heads of an even width"
        if self.norm_placement is NormPlacement.PRE and not self.final_norm:
            yield "final_norm", "must be true with model.norm_placement=pre"

    def misfits(self, spec: Any) -> Iterator[tuple[str, str]]:
        yield from patch_misfits(spec.source, self.patch_size, self.stem)
        if self.tie_embeddings is EmbeddingTying.ALL and spec.source != spec.inputs:
            yield "tie_embeddings", "needs one vocabulary on both sides; may be target or none"


@dataclasses.dataclass
class AarenConfig(ModelConfig):
    """Transformer blocks whose attention is a recurrence: one learned query per layer attends to
    all tokens so far.

    Attributes:
      num_layers: number of blocks, L.
      model_dim: width of the vectors between blocks, D.
      num_heads: number of attention heads, H.
      mlp_dim: width of the hidden layer of the feed-forward part, F.
      dropout_rate: of embeddings and the output of each part.
      norm_epsilon: added to the variance.
      norm_placement: pre = before each part of a block, post = after it is added.
      position: none or sinusoidal.
      activation: of the feed-forward part.
      use_bias: whether linear maps and layer norms have biases.
      tie_embeddings: whether the embedding table computes the logits.
    """

    kind: ClassVar[str] = "aaren"
    inputs: ClassVar[tuple[str, ...]] = ("tokens", "values")
    outputs: ClassVar[tuple[str, ...]] = ("vocab", "classes", "values")
    num_layers: int = 4
    model_dim: int = 128
    num_heads: int = 4
    mlp_dim: int = 512
    dropout_rate: float = fraction(0.0)
    norm_epsilon: float = number(1e-5, above=0)
    norm_placement: NormPlacement = NormPlacement.PRE
    position: Position = Position.SINUSOIDAL
    activation: Activation = Activation.GELU
    use_bias: bool = True
    tie_embeddings: bool = True

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from head_problems(self.model_dim, self.num_heads)
        if self.position not in (Position.NONE, Position.SINUSOIDAL):
            yield "position", "must be none or sinusoidal, because the carry has a constant size"
