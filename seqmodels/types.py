"""Axis glossary and the types that the rooms exchange.

Axes, with the same names in annotations, einsums and comments:

    B  batch                     V  vocabulary
    T  target or query time      F  feed-forward width
    S  source or memory time     N  recurrent state width
    D  model width               P  patches
    H  heads                     C  classes
    K  width of one head
"""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np


@dataclasses.dataclass(frozen=True)
class TokenInput:
    """Inputs are tokens [B, T], integers in 0..vocab_size - 1."""

    vocab_size: int


@dataclasses.dataclass(frozen=True)
class ValueInput:
    """Inputs are real values [B, T, num_features].

    Attributes:
      length: T, where all rows have the same number of steps.
    """

    num_features: int
    length: int | None = None


@dataclasses.dataclass(frozen=True)
class ImageInput:
    """Inputs are images [B, height, width, channels] of real values."""

    height: int
    width: int
    channels: int


@dataclasses.dataclass(frozen=True)
class SoundInput:
    """Inputs are frames of a sound [B, T, frame_length], which overlap; a model reads the log-mel
    energies of each, [B, T, num_bands].

    Attributes:
      frame_length: in samples.
      sample_rate: samples per second.
    """

    frame_length: int
    sample_rate: int
    num_bands: int


Input = TokenInput | ValueInput | ImageInput | SoundInput


@dataclasses.dataclass(frozen=True)
class VocabOutput:
    """The next token at each step: logits [B, T, vocab_size].

    Attributes:
      unknown_id: the token of what the vocabulary lacks, where it has one; no model depends on it.
    """

    vocab_size: int
    unknown_id: int | None = dataclasses.field(default=None, compare=False)


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
    """The shape of a model's inputs and outputs, which the data decide.

    `seqmodels.layers.embedding` builds the embedding and the head from it.

    Attributes:
      inputs: what a model reads; with a source, what its decoder reads.
      outputs: what it puts out.
      source: what an encoder reads, for models that have one beside a decoder.
    """

    inputs: Input
    outputs: VocabOutput | ClassOutput | ValueOutput
    source: Input | None = None


@runtime_checkable
class TextStream(Protocol):
    """A decoder for tokens that come a few at a time."""

    def feed(self, ids: Any) -> str:
        """Returns the characters that `ids` complete."""
        ...

    def flush(self) -> str:
        """Returns what is left of an unfinished character: U+FFFD or nothing."""
        ...


@runtime_checkable
class Tokenizer(Protocol):
    """A map from text to tokens and back.

    Attributes:
      kind: `character`, `byte`, `word` or `huggingface`.
      unit: noun for one token, such as "character".
      vocab_size: V; tokens are 0..V-1.
      byte_lengths: UTF-8 bytes that each token represents, [V]; 0 for the unknown symbol.
      lossless: whether the byte_lengths add up to the bytes of a text without unknown symbols.
      start: tokens that precede a text that a model is to continue, [N] int32; mostly none.
      end: tokens that follow a whole text, such as [SEP], [N] int32; mostly none.
      eos_ids: tokens at which a generated text ends, of a model that came with them.
      unknown_id: token for symbols outside the vocabulary, or None.
      mask_id: token that replaces a hidden one, or None.
    """

    kind: str
    unit: str
    vocab_size: int
    byte_lengths: np.ndarray
    lossless: bool
    unknown_id: int | None
    mask_id: int | None

    eos_ids: tuple[int, ...]

    @property
    def start(self) -> np.ndarray: ...

    @property
    def end(self) -> np.ndarray: ...

    def encode(self, text: str, *, unknown: bool = False) -> np.ndarray:
        """Returns tokens [N] int32.

        Args:
          text: any string.
          unknown: map symbols outside the vocabulary to `unknown_id`, if there is one.

        Raises:
          UserError: the text has such symbols, and they are not mapped; the message names them.
        """
        ...

    def count_unknown(self, text: str) -> Counter[str]:
        """Counts the symbols of `text` that become `unknown_id`."""
        ...

    def decode(self, ids: Any) -> str:
        """Returns the text of tokens [N]."""
        ...

    def decode_stream(self, after: Any = ()) -> TextStream:
        """Returns a decoder for the tokens that follow the tokens `after`."""
        ...

    def pieces(self, *, starts_line: bool) -> list[bytes]:
        """Returns the UTF-8 bytes that each token writes, [V], within a line or at its start."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Returns a description that `data.tokenizers.tokenizer_from_json` reads."""
        ...

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes `path`, completely or not at all."""
        ...


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Batch:
    """One global batch (or the rows of it that a process holds), a function of its step alone.

    Attributes:
      inputs: tokens [B, T] int32, values [B, T, D], frames of sounds
        [B, T, N] or images [B, H, W, C] float32.
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
