"""Axis glossary and the types that the rooms exchange.

Axes, named alike in annotations, einsums and comments:

    B  batch                     V  vocabulary
    T  target or query time      F  feed-forward width
    S  source or memory time     N  recurrent state width
    D  model width               P  patches
    H  heads                     C  classes
    K  width of one head
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
from jaxtyping import Array, Float, Int


@dataclasses.dataclass(frozen=True)
class TokenInput:
    """Inputs are tokens [B, T], integers in 0..vocab_size - 1."""

    vocab_size: int


@dataclasses.dataclass(frozen=True)
class ValueInput:
    """Inputs are real values [B, T, num_features]."""

    num_features: int


@dataclasses.dataclass(frozen=True)
class VocabOutput:
    """The next token at each step: logits [B, T, vocab_size]."""

    vocab_size: int


@dataclasses.dataclass(frozen=True)
class ClassOutput:
    """A class at each step (logits [B, T, C]) or one for the whole sequence (logits [B, C])."""

    num_classes: int
    per_step: bool


@dataclasses.dataclass(frozen=True)
class ValueOutput:
    """Real values, all of the horizon at once: [B, T, horizon, num_channels, num_quantiles]."""

    horizon: int
    num_channels: int
    num_quantiles: int = 1


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """What the data decide about a model: the shape of its inputs and of its outputs.

    `seqmodels.layers.embedding` builds the embedding and the head from it.
    """

    inputs: TokenInput | ValueInput
    outputs: VocabOutput | ClassOutput | ValueOutput


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Batch:
    """One global batch (or the rows of it that a process holds), a function of its step alone.

    Attributes:
      inputs: tokens [B, T] int32, or values [B, T, D] float32.
      targets: [B, T] int32 (tokens, classes) or float32 (values).
      loss_weights: [B, T] float32; a target of weight 0 enters neither sum nor denominator.
      segment_ids: [B, T] int32, 0 = padding, 1.. = documents, counting along the whole row or
        stream; None where every row is one document without padding.
    """

    inputs: Int[Array, "B T"] | Float[Array, "B T D"] | Any
    targets: Any
    loss_weights: Any
    segment_ids: Any = None


Metrics = dict[str, tuple[Any, Any]]
"""Named (sum, weight) pairs of scalars; they merge by addition, exactly, whatever the cut."""

Params = Any
Carry = Any
