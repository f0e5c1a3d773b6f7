"""Typed hyper-parameters of the models over recurrent cells."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from typing import Any, ClassVar

from seqmodels.config.errors import suggest
from seqmodels.config.fields import choice, fraction, number
from seqmodels.config.models import ImageStem, ModelConfig, Pooling, patch_misfits
from seqmodels.registry import CELLS


class InputEncoding(enum.StrEnum):
    """Tokens as learned vectors of model_dim, or as one-hot vectors."""

    EMBEDDED = "embedded"
    ONE_HOT = "one_hot"


class RecurrentBlock(enum.StrEnum):
    """plain: each cell reads the output of the one below. residual: pre-norm blocks of a short
    convolution, a cell and a feed-forward part, each added to its input."""

    PLAIN = "plain"
    RESIDUAL = "residual"


@dataclasses.dataclass
class CellConfig(ModelConfig):
    """Base of the models with recurrent cells.

    Attributes:
      cell: a name of the registry's CELLS; `launch.py list` prints them.
      num_layers: L.
      model_dim: D, width of the embedding.
      hidden_dim: N, width of each layer's state.
      projection_dim: width that each layer's output is projected to, before it is fed back too
        (lstm; Sak et al., 2014); none = hidden_dim, without a projection.
      dropout_rate: share of each layer's outputs set to 0 in training.
      input_encoding: tokens as learned vectors, or one-hot (model_dim is then not used).
      learned_initial_state: whether the state before a document is learned; zero otherwise.
      forget_bias: initial bias of the forget gates (lstm, layer_norm_lstm).
      chrono_length: chrono initialisation for dependencies of up to this many steps (lstm, gru):
        gates start with biases log(uniform(1, chrono_length - 1)); none = forget_bias.
      uniform_init: bound of a uniform distribution that every parameter starts with, the biases
        too (Zaremba et al., 2014); none = the initializers of the layers.
      num_heads: heads of the running attention (aaren).
      min_radius, max_radius: radii of the ring that the eigenvalues start in (lru).
    """

    cell: str = choice("lstm", CELLS)
    num_layers: int = 1
    model_dim: int = 256
    hidden_dim: int = 256
    projection_dim: int | None = None
    dropout_rate: float = fraction(0.0)
    input_encoding: InputEncoding = InputEncoding.EMBEDDED
    learned_initial_state: bool = False
    forget_bias: float = 1.0
    chrono_length: int | None = number(None, least=3)
    uniform_init: float | None = number(None, above=0)
    num_heads: int = 1
    min_radius: float = fraction(0.9)
    max_radius: float = number(0.999, above=0, most=1)

    @property
    def output_dim(self) -> int:
        """Width of each layer's output."""
        return self.projection_dim or self.hidden_dim

    @property
    def _width(self) -> str:
        name = "hidden_dim" if self.projection_dim is None else "projection_dim"
        return f"{name}, {self.output_dim}"

    @property
    def initial_bound(self) -> float | None:
        return self.uniform_init

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.cell not in CELLS:
            yield "cell", f"is not known{suggest(self.cell, CELLS)}"
            return
        for field in dataclasses.fields(CellConfig):
            if vars(self)[field.name] == field.default:
                continue
            readers = [name for name, entry in CELLS.items() if field.name in entry.reads]
            if readers and self.cell not in readers:
                yield field.name, f"is only for {', '.join(readers)}, not {self.cell}"
            elif self.uniform_init is not None and field.name in ("forget_bias", "chrono_length"):
                yield field.name, "is not read with model.uniform_init"
        if "num_heads" in CELLS[self.cell].reads and self.hidden_dim % self.num_heads:
            yield "num_heads", f"must divide hidden_dim, {self.hidden_dim}"
        if self.min_radius >= self.max_radius:
            yield "min_radius", f"must be less than max_radius, {self.max_radius}"


@dataclasses.dataclass
class RecurrentConfig(CellConfig):
    """A stack of recurrent layers that read from left to right, such as a language model.

    Attributes:
      tie_embeddings: whether the embedding table computes the logits; model_dim must then equal the
        width of the last layer.
      block: plain layers, or residual blocks model_dim wide around cells of hidden_dim.
      convolution_width: of a residual block: taps of the convolution before the cell; none = no
        convolution.
      mlp_dim: of a residual block: width of the feed-forward part after the cell; none = no such
        part.
    """

    kind: ClassVar[str] = "recurrent"
    inputs: ClassVar[tuple[str, ...]] = ("tokens", "values")
    outputs: ClassVar[tuple[str, ...]] = ("vocab", "classes", "values")
    tie_embeddings: bool = False
    block: RecurrentBlock = RecurrentBlock.PLAIN
    convolution_width: int | None = None
    mlp_dim: int | None = None

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from super().problems()
        plain = self.block is RecurrentBlock.PLAIN
        if self.tie_embeddings and self.input_encoding is InputEncoding.ONE_HOT:
            yield (
                "tie_embeddings",
                "needs model.input_encoding=embedded: one-hot has no table",
            )
        elif self.tie_embeddings and plain and self.model_dim != self.output_dim:
            yield "model_dim", f"with tie_embeddings it must equal {self._width}"
        if plain:
            for field, value in (
                ("convolution_width", self.convolution_width),
                ("mlp_dim", self.mlp_dim),
            ):
                if value is not None:
                    yield field, "needs model.block=residual"
        elif self.input_encoding is InputEncoding.ONE_HOT:
            yield "input_encoding", "must be embedded with model.block=residual"
        if not plain and self.uniform_init is not None:
            yield "uniform_init", "needs model.block=plain: a block has norms"


@dataclasses.dataclass
class RecurrentEncoderConfig(CellConfig):
    """Recurrent layers that read a whole sequence.

    Attributes:
      bidirectional: whether each layer reads in both directions.
      pooling: how the sequence becomes one vector where there is one output per sequence.
    """

    kind: ClassVar[str] = "recurrent_encoder"
    inputs: ClassVar[tuple[str, ...]] = ("tokens", "values")
    outputs: ClassVar[tuple[str, ...]] = ("vocab", "classes", "values")
    bidirectional: bool = True
    pooling: Pooling = Pooling.LAST

    @property
    def causal(self) -> bool:
        return False


class Context(enum.StrEnum):
    """The decoder's view of the source.

    fixed: its first state is the encoder's last state (Sutskever et al., 2014).
    every_step: the same, and the encoder's last output enters every step (Cho et al., 2014).
    bahdanau: attention by the state before the step, as an input of the cell.
    luong: attention by the state after the step, mixed with it into the output.
    """

    FIXED = "fixed"
    EVERY_STEP = "every_step"
    BAHDANAU = "bahdanau"
    LUONG = "luong"


class AlignmentScore(enum.StrEnum):
    """Score of a source position for a state. additive: Bahdanau et al., 2015; dot, general,
    concat: Luong et al., 2015; scaled_dot: Vaswani et al., 2017."""

    ADDITIVE = "additive"
    DOT = "dot"
    GENERAL = "general"
    CONCAT = "concat"
    SCALED_DOT = "scaled_dot"


class AlignmentScope(enum.StrEnum):
    """global: the whole source; local_p: around a predicted position."""

    GLOBAL = "global"
    LOCAL_P = "local_p"


@dataclasses.dataclass
class Seq2SeqConfig(CellConfig):
    """Recurrent encoder and decoder of `num_layers` each.

    Attributes:
      bidirectional: whether the encoder reads in both directions, each hidden_dim wide.
      context: the decoder's view of the source.
      score, scope: of the attention, with context bahdanau or luong.
      attention_dim: width of additive and concat scores, and of the prediction of local_p.
      local_window: local_p: D, half the width of the window; the deviation is D / 2.
      input_feeding: whether the last attended output is an input of the next step (luong).
      reverse_source: whether the source is read from its end (Sutskever et al., 2014).
      tie_embeddings: whether the target's embedding table computes the logits.
      patch_size: of a source of images, which is read as patches of so many pixels each way.
      stem: how a patch of an image becomes a vector.
    """

    kind: ClassVar[str] = "seq2seq"
    source: ClassVar[tuple[str, ...]] = ("tokens", "values", "image")
    bidirectional: bool = False
    context: Context = Context.BAHDANAU
    score: AlignmentScore = AlignmentScore.ADDITIVE
    scope: AlignmentScope = AlignmentScope.GLOBAL
    attention_dim: int = 128
    local_window: int = 10
    input_feeding: bool = True
    reverse_source: bool = False
    tie_embeddings: bool = False
    patch_size: int = 4
    stem: ImageStem = ImageStem.LINEAR

    @property
    def aligns(self) -> bool:
        return self.context in (Context.BAHDANAU, Context.LUONG)

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from super().problems()
        if self.input_encoding is InputEncoding.ONE_HOT and self.tie_embeddings:
            yield (
                "tie_embeddings",
                "needs model.input_encoding=embedded: one-hot has no table",
            )
        elif self.tie_embeddings and self.model_dim != self.output_dim:
            yield "model_dim", f"with tie_embeddings it must equal {self._width}"
        if self.scope is AlignmentScope.LOCAL_P and not self.aligns:
            yield "scope", "local_p needs model.context=bahdanau or luong"
        products = (AlignmentScore.DOT, AlignmentScore.SCALED_DOT)
        if self.aligns and self.score in products and self.bidirectional:
            yield "score", f"{self.score} needs model.bidirectional=false: states of one width"

    def misfits(self, spec: Any) -> Iterator[tuple[str, str]]:
        yield from patch_misfits(spec.source, self.patch_size, self.stem)
