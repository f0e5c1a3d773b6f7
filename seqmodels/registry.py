"""Registries that map names to classes: explicit tables of 'module:Class' strings.

A class is imported only when it is needed, so that a mistyped name is reported at once.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Entry:
    """A registered model, task or data set.

    Attributes:
      implementation: 'module:Class' of the class.
      config: 'module:Class' of its config dataclass.
      summary: one line for `launch.py list`.
    """

    implementation: str
    config: str
    summary: str


@dataclasses.dataclass(frozen=True)
class DatasetEntry:
    """One registered data set.

    Attributes:
      implementation: 'module:Class' of what opens it.
      summary: one line for `launch.py list`.
      columns: names of its columns; None where they are those of the user's files or of a catalog.
      options: the optional fields of `DataConfig` that it reads.
      argument: what may follow the name after a colon: NAME must, [SIZE] may.
      least_size: the least SIZE.
    """

    implementation: str
    summary: str
    columns: tuple[str, ...] | None
    options: tuple[str, ...] = ()
    argument: str = ""
    least_size: int = 0


@dataclasses.dataclass(frozen=True)
class CellEntry:
    """A recurrent cell.

    Attributes:
      implementation: 'module:Class' of the cell. `models.build.make_cell` sets every field of the
        class that the model's config has too.
      summary: one line for `launch.py list`.
      reads: fields of `CellConfig` that only some cells read, and that this one reads.
      options: fields of the class that the name fixes.
    """

    implementation: str
    summary: str
    reads: tuple[str, ...] = ()
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


MODELS: dict[str, Entry] = {
    "ngram": Entry(
        "seqmodels.models.ngram:Ngram",
        "seqmodels.config.models:NgramConfig",
        "n-gram with interpolated modified Kneser-Ney smoothing",
    ),
    "recurrent": Entry(
        "seqmodels.models.recurrent:Recurrent",
        "seqmodels.config.recurrent:RecurrentConfig",
        "stack of recurrent cells: RNN, LSTM, GRU, minGRU, minLSTM, LRU, Aaren",
    ),
    "recurrent_encoder": Entry(
        "seqmodels.models.recurrent_encoder:RecurrentEncoder",
        "seqmodels.config.recurrent:RecurrentEncoderConfig",
        "bidirectional recurrent layers with pooling",
    ),
    "seq2seq": Entry(
        "seqmodels.models.seq2seq:Seq2Seq",
        "seqmodels.config.recurrent:Seq2SeqConfig",
        "recurrent encoder-decoder with a fixed context or attention (Bahdanau, Luong)",
    ),
    "gpt": Entry(
        "seqmodels.models.gpt:GPT",
        "seqmodels.config.transformers:GPTConfig",
        "decoder-only Transformer with a key/value cache (GPT, Llama)",
    ),
    "transformer": Entry(
        "seqmodels.models.transformer:Transformer",
        "seqmodels.config.transformers:TransformerConfig",
        "encoder-decoder Transformer",
    ),
    "bert": Entry(
        "seqmodels.models.bert:BERT",
        "seqmodels.config.transformers:BERTConfig",
        "Transformer encoder over tokens",
    ),
    "vit": Entry(
        "seqmodels.models.vit:ViT",
        "seqmodels.config.transformers:ViTConfig",
        "Transformer encoder over the patches of an image",
    ),
    "aaren": Entry(
        "seqmodels.models.aaren:Aaren",
        "seqmodels.config.transformers:AarenConfig",
        "Transformer blocks with attention as a recurrence of constant state",
    ),
    "convolutional": Entry(
        "seqmodels.models.convolutional:Convolutional",
        "seqmodels.config.models:ConvolutionalConfig",
        "convolutional baselines: TCN, TextCNN",
    ),
    "mlp": Entry(
        "seqmodels.models.mlp:MLP",
        "seqmodels.config.models:MLPConfig",
        "hidden layers on each input separately",
    ),
    "perceptron": Entry(
        "seqmodels.models.perceptron:Perceptron",
        "seqmodels.config.models:PerceptronConfig",
        "one linear layer",
    ),
}

CELLS: dict[str, CellEntry] = {
    "rnn": CellEntry(
        "seqmodels.layers.cells:RNNCell",
        "Elman's network, with tanh",
        reads=("uniform_init",),
    ),
    "rnn_relu": CellEntry(
        "seqmodels.layers.cells:RNNCell",
        "Elman's network, with max(0, x)",
        reads=("uniform_init",),
        options={"relu": True},
    ),
    "irnn": CellEntry(
        "seqmodels.layers.cells:RNNCell",
        "rnn_relu that starts as the identity",
        options={"relu": True, "identity": True},
    ),
    "lstm": CellEntry(
        "seqmodels.layers.cells:LSTMCell",
        "long short-term memory",
        reads=("projection_dim", "forget_bias", "chrono_length", "uniform_init"),
    ),
    "layer_norm_lstm": CellEntry(
        "seqmodels.layers.cells:LayerNormLSTMCell",
        "LSTM with layer normalisation",
        reads=("forget_bias", "chrono_length"),
    ),
    "gru": CellEntry(
        "seqmodels.layers.cells:GRUCell",
        "gated recurrent unit, reset after the product (cuDNN)",
        reads=("chrono_length", "uniform_init"),
    ),
    "gru_reset_before": CellEntry(
        "seqmodels.layers.cells:GRUResetBeforeCell",
        "gated recurrent unit as published",
        reads=("chrono_length", "uniform_init"),
    ),
    "min_gru": CellEntry(
        "seqmodels.layers.linear_recurrent:MinGRUCell",
        "GRU whose gate does not see the state",
    ),
    "min_lstm": CellEntry(
        "seqmodels.layers.linear_recurrent:MinLSTMCell",
        "LSTM whose gates do not see the state",
    ),
    "lru": CellEntry(
        "seqmodels.layers.linear_recurrent:LRUCell",
        "linear recurrent unit, diagonal and complex",
        reads=("min_radius", "max_radius"),
    ),
    "aaren": CellEntry(
        "seqmodels.layers.linear_recurrent:AarenCell",
        "attention of a learned query, as a recurrence",
        reads=("num_heads",),
    ),
}

TASKS: dict[str, Entry] = {
    "language_model": Entry(
        "seqmodels.tasks.language_model:LanguageModel",
        "seqmodels.config.tasks:LanguageModelConfig",
        "next-token prediction",
    ),
    "masked_language_model": Entry(
        "seqmodels.tasks.masked_language_model:MaskedLanguageModel",
        "seqmodels.config.tasks:MaskedLanguageModelConfig",
        "prediction of masked tokens from both sides (BERT's 80/10/10)",
    ),
    "classification": Entry(
        "seqmodels.tasks.classification:Classification",
        "seqmodels.config.tasks:ClassificationConfig",
        "one class for a whole image or sequence",
    ),
    "translation": Entry(
        "seqmodels.tasks.translation:Translation",
        "seqmodels.config.tasks:TranslationConfig",
        "prediction of a target sequence from a source sequence, with teacher forcing",
    ),
    "tagging": Entry(
        "seqmodels.tasks.tagging:Tagging",
        "seqmodels.config.tasks:TaggingConfig",
        "a label for each step of a sequence",
    ),
}

FEATURES: dict[str, Entry] = {
    "tokens": Entry(
        "seqmodels.data.features.tokens:Tokens",
        "seqmodels.config.features:TokensConfig",
        "a text as tokens",
    ),
    "label": Entry(
        "seqmodels.data.features.label:Label",
        "seqmodels.config.features:LabelConfig",
        "one class per row",
    ),
    "tags": Entry(
        "seqmodels.data.features.tags:Tags",
        "seqmodels.config.features:TagsConfig",
        "a label for each step",
    ),
    "image": Entry(
        "seqmodels.data.features.image:Image",
        "seqmodels.config.features:ImageConfig",
        "an image",
    ),
    "values": Entry(
        "seqmodels.data.features.values:Values",
        "seqmodels.config.features:ValuesConfig",
        "a series of real values",
    ),
}

DATA: dict[str, Entry] = {
    "text": Entry(
        "seqmodels.data.text:TextData",
        "seqmodels.config.data:TextDataConfig",
        "a stream of text",
    ),
    "examples": Entry(
        "seqmodels.data.example_data:ExampleData",
        "seqmodels.config.data:ExamplesDataConfig",
        "whole examples, one feature per role",
    ),
}


_OWN_FILES = (
    *("path", "train_path", "validation_path", "test_path"),
    *("validation_fraction", "test_fraction"),
)
DATASETS: dict[str, DatasetEntry] = {
    "python_docs": DatasetEntry(
        "seqmodels.data.datasets.python_docs:PythonDocs",
        "built in: the language reference that is part of every CPython",
        ("text",),
    ),
    "python_source": DatasetEntry(
        "seqmodels.data.datasets.python_source:PythonSource",
        "built in: the standard library's .py files, 11 million characters",
        ("text",),
    ),
    "text_file": DatasetEntry(
        "seqmodels.data.datasets.text_file:TextFile",
        "your own UTF-8 files (data.path, or one path per split)",
        ("text",),
        _OWN_FILES,
    ),
    "wikitext2": DatasetEntry(
        "seqmodels.data.datasets.wikitext2:WikiText2",
        "WikiText-2, cut into words: data.path, or `prepare` downloads it",
        ("text",),
        ("path",),
    ),
    "scales": DatasetEntry(
        "seqmodels.data.datasets.scales:Scales",
        "built in: scales and jigs in ABC notation, made by rule",
        ("text",),
    ),
    "irish_abc": DatasetEntry(
        "seqmodels.data.datasets.irish_abc:IrishABC",
        "804 Irish tunes in ABC (MIT 6.S191): data.path, or `prepare` downloads it",
        ("text",),
        ("path",),
    ),
    "abc_file": DatasetEntry(
        "seqmodels.data.datasets.abc_file:ABCFile",
        "your own ABC files, split by tune (data.path, or one path per split)",
        ("text",),
        (*_OWN_FILES, "strict"),
    ),
    "dates": DatasetEntry(
        "seqmodels.data.datasets.dates:Dates",
        "built in: written dates and the same dates in ISO 8601",
        ("source", "target"),
    ),
    "numbers": DatasetEntry(
        "seqmodels.data.datasets.numbers:Numbers",
        "built in: numbers in words and the same numbers in digits",
        ("source", "target"),
    ),
    "multi30k": DatasetEntry(
        "seqmodels.data.datasets.multi30k:Multi30k",
        "captions in English, German and French: data.path, or `prepare` downloads it",
        ("en", "de", "fr"),
        ("path",),
    ),
    "parallel_text": DatasetEntry(
        "seqmodels.data.datasets.parallel_text:ParallelText",
        "your own parallel texts, line by line: one UTF-8 file per column",
        None,
        _OWN_FILES,
    ),
    "order_sentences": DatasetEntry(
        "seqmodels.data.datasets.order_sentences:OrderSentences",
        "built in: praise and blame that depend on order and negation",
        ("text", "label"),
    ),
    "stories": DatasetEntry(
        "seqmodels.data.datasets.stories:Stories",
        "built in: short stories with a question whose answer is a place",
        ("text", "label"),
    ),
    "rotten_tomatoes": DatasetEntry(
        "seqmodels.data.datasets.sentiment:RottenTomatoes",
        "MR, sentences of film reviews: data.path, or `prepare` downloads it",
        ("text", "label"),
        ("path", "fold"),
    ),
    "sst2": DatasetEntry(
        "seqmodels.data.datasets.sentiment:SST2",
        "SST-2, whole sentences of film reviews: data.path, or `prepare` downloads it",
        ("text", "label"),
        ("path",),
    ),
    "shapes": DatasetEntry(
        "seqmodels.data.datasets.shapes:Shapes",
        "built in: circles, squares, triangles and crosses on noise; shapes:SIZE",
        ("image", "label"),
        argument="[SIZE]",
        least_size=8,
    ),
    "folder": DatasetEntry(
        "seqmodels.data.datasets.folder:Folder",
        "your own images, in one subfolder per class",
        ("image", "label"),
        _OWN_FILES,
    ),
    "table": DatasetEntry(
        "seqmodels.data.datasets.table:Table",
        "your own table: a CSV, TSV or JSONL file with named columns",
        None,
        _OWN_FILES,
    ),
    "tfds": DatasetEntry(
        "seqmodels.data.datasets.catalog:Catalog",
        "tfds:NAME, a TFDS catalog data set in array_record form",
        None,
        ("tfds_data_dir",),
        argument="NAME",
    ),
}


def resolve(reference: str) -> Any:
    """Imports 'module:Class' and returns the class."""
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)
