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


@dataclasses.dataclass(frozen=True)
class TokenInput:
    """Inputs are tokens [B, T], integers in 0..vocab_size - 1."""

    vocab_size: int


@dataclasses.dataclass(frozen=True)
class ValueInput:
    """Inputs are real values [B, T, num_features]."""

    num_features: int


@dataclasses.dataclass(frozen=True)
class ImageInput:
    """Inputs are images [B, height, width, channels] of real values."""

    height: int
    width: int
    channels: int


Input = TokenInput | ValueInput | ImageInput


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

    Attributes:
      inputs: what a model reads; with a source, what its decoder reads.
      outputs: what it puts out.
      source: what an encoder reads, for models that have one beside a decoder.
    """

    inputs: Input
    outputs: VocabOutput | ClassOutput | ValueOutput
    source: Input | None = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Batch:
    """One global batch (or the rows of it that a process holds), a function of its step alone.

    Attributes:
      inputs: tokens [B, T] int32, values [B, T, D] or images [B, H, W, C] float32.
      targets: [B, T] int32 (tokens, classes) or float32 (values).
      loss_weights: [B, T] float32; a target of weight 0 enters neither sum nor denominator.
      segment_ids: [B, T] int32, 0 = padding, 1.. = documents, counting along the whole row or
        stream; None where every row is one document without padding.
      token_types: [B, T] int32, which of the sentences of a document a token belongs to; None = 0.
      source: what an encoder reads, tokens [B, S], values [B, S, D] or images; None without one.
      source_segment_ids: [B, S] int32, like segment_ids; document n looks at source n.
      target_segment_ids: [B, U] int32, like segment_ids, where the targets have a length U of their
        own (targets and loss_weights are [B, U]); None where they are aligned with the inputs.
    """

    inputs: Any
    targets: Any
    loss_weights: Any
    segment_ids: Any = None
    token_types: Any = None
    source: Any = None
    source_segment_ids: Any = None
    target_segment_ids: Any = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that a training step reads and writes (law 3).

    Attributes:
      step: optimizer steps done, int32 scalar.
      params: the model's parameters, float32.
      opt_state: optax's state; its moments are sharded like the parameters.
      key: the run's random key; every use folds in the step, the micro-batch and the use.
      log: (sum, weight) pairs gathered since the last logged step.
      carry: the model's carry where it runs on over batches (streams), else None.
      ema: moving average of the parameters where one is kept, else None.
    """

    step: Any
    params: Any
    opt_state: Any
    key: Any
    log: Any
    carry: Any = None
    ema: Any = None


Metrics = dict[str, tuple[Any, Any]]
"""Named (sum, weight) pairs of scalars, or of arrays of one shape; they merge by addition, exactly,
whatever the cut."""

Params = Any
Carry = Any
