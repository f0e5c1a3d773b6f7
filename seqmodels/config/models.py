"""Typed hyper-parameters of every model. What the data decide arrives as a `DataSpec` instead."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from typing import ClassVar


class Cell(enum.StrEnum):
    LSTM = "lstm"


class NormPlacement(enum.StrEnum):
    PRE = "pre"
    POST = "post"


class Position(enum.StrEnum):
    LEARNED = "learned"
    SINUSOIDAL = "sinusoidal"
    ROTARY = "rotary"


class Activation(enum.StrEnum):
    GELU = "gelu"
    SWIGLU = "swiglu"


@dataclasses.dataclass
class ModelConfig:
    """Base of all model configs.

    Class attributes:
      kind: name in the registry; JSON stores it.
      fitted: True where `fit` stands in for the training loop (counts instead of gradients).
      unbounded: True where a carry of constant size runs on for ever; False where it is a cache
        of bounded capacity.
    """

    kind: ClassVar[str] = ""
    fitted: ClassVar[bool] = False
    unbounded: ClassVar[bool] = True

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yields (field, what is allowed) where fields of the model do not go together.

        Types and ranges of single numbers are checked before.
        """
        yield from ()


@dataclasses.dataclass
class NgramConfig(ModelConfig):
    """Interpolated modified Kneser-Ney of order `order` (a context of order - 1 tokens)."""

    kind: ClassVar[str] = "ngram"
    fitted: ClassVar[bool] = True
    order: int = 6


@dataclasses.dataclass
class RecurrentConfig(ModelConfig):
    """Language model over a stack of recurrent layers.

    `model_dim` is the width of the embedding, `hidden_dim` (N) that of each layer's state.
    `tie_embeddings` reads the logits off the embedding table and needs model_dim == hidden_dim.
    `forget_bias` is the initial bias of the LSTM's forget gate.
    """

    kind: ClassVar[str] = "recurrent"
    cell: Cell = Cell.LSTM
    num_layers: int = 1
    model_dim: int = 256
    hidden_dim: int = 256
    dropout_rate: float = 0.0
    tie_embeddings: bool = False
    forget_bias: float = 1.0

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.tie_embeddings and self.model_dim != self.hidden_dim:
            yield "model_dim", f"with tie_embeddings it must equal hidden_dim, {self.hidden_dim}"


@dataclasses.dataclass
class GPTConfig(ModelConfig):
    """Decoder-only Transformer. `max_length` bounds positions; heads have model_dim / num_heads."""

    kind: ClassVar[str] = "gpt"
    unbounded: ClassVar[bool] = False
    num_layers: int = 4
    model_dim: int = 128
    num_heads: int = 4
    mlp_dim: int = 512
    max_length: int = 64
    dropout_rate: float = 0.0
    norm_placement: NormPlacement = NormPlacement.PRE
    position: Position = Position.LEARNED
    activation: Activation = Activation.GELU
    use_bias: bool = False
    tie_embeddings: bool = True
    remat: bool = False

    def problems(self) -> Iterator[tuple[str, str]]:
        head_dim, rest = divmod(self.model_dim, self.num_heads)
        if rest:
            divisors = [n for n in range(1, self.model_dim + 1) if self.model_dim % n == 0]
            near = sorted(divisors, key=lambda n: abs(n - self.num_heads))[:3]
            names = ", ".join(map(str, sorted(near)))
            yield "num_heads", f"must divide model_dim, {self.model_dim}; near are {names}"
        elif self.position is Position.ROTARY and head_dim % 2:
            yield "position", f"needs an even model_dim / num_heads, not {head_dim}"
