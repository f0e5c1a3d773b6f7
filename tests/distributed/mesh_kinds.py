"""Models that are trained on meshes, and their batches. All widths are multiples of 8."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqmodels.config.models import Activation, ConvolutionalConfig, MLPConfig, PerceptronConfig
from seqmodels.config.recurrent import (
    Context,
    RecurrentBlock,
    RecurrentConfig,
    RecurrentEncoderConfig,
    Seq2SeqConfig,
)
from seqmodels.config.tasks import (
    ClassificationConfig,
    LanguageModelConfig,
    MaskedLanguageModelConfig,
    TranslationConfig,
)
from seqmodels.config.transformers import (
    AarenConfig,
    BERTConfig,
    GPTConfig,
    Position,
    TransformerConfig,
    ViTConfig,
)
from seqmodels.types import Batch, ClassOutput, DataSpec, ImageInput, TokenInput, VocabOutput

B, T, S, V = 16, 7, 5, 43

LANGUAGE = (LanguageModelConfig(), DataSpec(TokenInput(V), VocabOutput(V)))
SMOOTHED = (LanguageModelConfig(label_smoothing=0.1), LANGUAGE[1])
PAIRS = (TranslationConfig(0.1), DataSpec(TokenInput(V), VocabOutput(V), source=TokenInput(V)))
MASKED = (MaskedLanguageModelConfig(), LANGUAGE[1])
IMAGES = (
    ClassificationConfig(),
    DataSpec(ImageInput(8, 8, 3), ClassOutput(5, per_step=False)),
)
WIDTHS: dict[str, Any] = {"model_dim": 16, "dropout_rate": 0.1}
CELLS: dict[str, Any] = {**WIDTHS, "hidden_dim": 24}
BLOCKS: dict[str, Any] = {**WIDTHS, "num_heads": 4, "mlp_dim": 32}


def recurrent(**fields: Any) -> tuple[Any, ...]:
    return RecurrentConfig(**{**CELLS, **fields}), *LANGUAGE


def seq2seq(**fields: Any) -> tuple[Any, ...]:
    return Seq2SeqConfig(**CELLS, attention_dim=16, **fields), *PAIRS


GROUPED = GPTConfig(
    **{**BLOCKS, "model_dim": 32, "num_heads": 8},
    num_kv_heads=4,
    num_layers=1,
    max_length=T,
    position=Position.ROTARY,
    activation=Activation.SWIGLU,
)
KINDS: dict[str, tuple[Any, ...]] = {
    "lstm": recurrent(num_layers=2),
    "gpt": (GROUPED, *SMOOTHED),
    "gpt untied": (
        GPTConfig(**BLOCKS, num_layers=2, max_length=T, tie_embeddings=False, use_bias=True),
        *LANGUAGE,
    ),
    "gpt deep": (GPTConfig(**BLOCKS, num_layers=13, max_length=T), *LANGUAGE),
    "gru": recurrent(cell="gru"),
    "min_gru": recurrent(
        cell="min_gru", block=RecurrentBlock.RESIDUAL, mlp_dim=32, convolution_width=3
    ),
    "lru": recurrent(cell="lru"),
    "recurrent_encoder": (RecurrentEncoderConfig(**CELLS), *MASKED),
    "seq2seq": seq2seq(context=Context.BAHDANAU, bidirectional=True),
    "seq2seq luong": seq2seq(context=Context.LUONG, input_feeding=False),
    "seq2seq min_gru": seq2seq(context=Context.LUONG, cell="min_gru"),
    "transformer": (
        TransformerConfig(**BLOCKS, num_encoder_layers=1, num_decoder_layers=1, max_length=T),
        *PAIRS,
    ),
    "bert": (BERTConfig(**BLOCKS, num_layers=1, max_length=T), *MASKED),
    "vit": (ViTConfig(**BLOCKS, num_layers=1, patch_size=4), *IMAGES),
    "aaren": (AarenConfig(**BLOCKS, num_layers=1), *LANGUAGE),
    "convolutional": (ConvolutionalConfig(**CELLS, num_layers=2), *LANGUAGE),
    "mlp": (MLPConfig(**CELLS, num_layers=2), *IMAGES),
    "perceptron": (PerceptronConfig(), *LANGUAGE),
}
"""Name -> model, task, spec."""


class Rows:
    """A source whose rows are a function of the step and suit the task of a kind."""

    batch_size = B

    def __init__(self, kind: str) -> None:
        _, self._task, self._spec = KINDS[kind]
        self._kind = kind

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        draw = np.random.default_rng(step)
        if isinstance(self._spec.inputs, ImageInput):
            images = draw.normal(size=(B, 8, 8, 3)).astype(np.float32)[rows]
            classes = draw.integers(0, 5, B).astype(np.int32)[rows]
            return Batch(images, classes, np.ones(len(images), np.float32))
        tokens = draw.integers(0, V, (B, T + 1)).astype(np.int32)[rows]
        source = draw.integers(0, V - 2, (B, S)).astype(np.int32)[rows]
        weights, documents = np.ones((len(tokens), T), np.float32), np.ones_like(tokens[:, 1:])
        if isinstance(self._task, MaskedLanguageModelConfig):
            weights[:, 1:] = 0
            return Batch(tokens[:, 1:], tokens[:, 1:], weights, documents)
        if self._spec.source is not None:
            sources = {"source": source, "source_segment_ids": np.ones_like(source)}
            return Batch(tokens[:, :-1], tokens[:, 1:], weights, documents, **sources)
        if self._kind == "gpt":
            documents[:, 3:] = 2
            weights[0, :5] = 0
        return Batch(tokens[:, :-1], tokens[:, 1:], weights, documents)
