"""Registries that map names to classes: explicit tables of 'module:Class' strings.

A class is imported only when it is needed, so that a mistyped name is reported at once.
"""

from __future__ import annotations

import dataclasses
import importlib
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
        "hidden layers applied to each input separately",
    ),
    "perceptron": Entry(
        "seqmodels.models.perceptron:Perceptron",
        "seqmodels.config.models:PerceptronConfig",
        "one linear layer",
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
}

DATASETS: dict[str, Entry] = {
    "python_docs": Entry(
        "seqmodels.data.datasets.python_docs:PythonDocs",
        "seqmodels.config.data:TextDataConfig",
        "built in: the language reference that every CPython carries",
    ),
    "python_source": Entry(
        "seqmodels.data.datasets.python_source:PythonSource",
        "seqmodels.config.data:TextDataConfig",
        "built in: the standard library's .py files, 11 million characters",
    ),
    "text_file": Entry(
        "seqmodels.data.datasets.text_file:TextFile",
        "seqmodels.config.data:TextDataConfig",
        "your own UTF-8 files (data.path, or one path a split)",
    ),
    "wikitext2": Entry(
        "seqmodels.data.datasets.wikitext2:WikiText2",
        "seqmodels.config.data:TextDataConfig",
        "WikiText-2, cut into words: data.path, or `prepare` downloads it",
    ),
    "scales": Entry(
        "seqmodels.data.datasets.scales:Scales",
        "seqmodels.config.data:TextDataConfig",
        "built in: scales and jigs in ABC, made by rule",
    ),
    "irish_abc": Entry(
        "seqmodels.data.datasets.irish_abc:IrishABC",
        "seqmodels.config.data:TextDataConfig",
        "804 Irish tunes in ABC (MIT 6.S191): data.path, or `prepare` downloads it",
    ),
    "abc_file": Entry(
        "seqmodels.data.datasets.abc_file:ABCFile",
        "seqmodels.config.data:TextDataConfig",
        "your own ABC files, split by tune (data.path, or one path a split)",
    ),
    "tfds": Entry(
        "seqmodels.data.datasets.catalog:Catalog",
        "seqmodels.config.data:TextDataConfig",
        "tfds:NAME, text of a TFDS catalog data set in array_record form",
    ),
    "shapes": Entry(
        "seqmodels.data.datasets.shapes:Shapes",
        "seqmodels.config.images:ImagesDataConfig",
        "built in: circles, squares, triangles and crosses on noise",
    ),
    "tfds_images": Entry(
        "seqmodels.data.datasets.catalog_images:CatalogImages",
        "seqmodels.config.images:ImagesDataConfig",
        "tfds_images:NAME, classified images of a TFDS catalog data set in array_record form",
    ),
    "dates": Entry(
        "seqmodels.data.datasets.dates:Dates",
        "seqmodels.config.data:PairsDataConfig",
        "built in: written dates and what they are in ISO 8601",
    ),
    "numbers": Entry(
        "seqmodels.data.datasets.numbers:Numbers",
        "seqmodels.config.data:PairsDataConfig",
        "built in: numbers in words and what they are in digits",
    ),
    "multi30k": Entry(
        "seqmodels.data.datasets.multi30k:Multi30k",
        "seqmodels.config.data:PairsDataConfig",
        "captions in English, German and French: data.path, or `prepare` downloads it",
    ),
    "parallel_text": Entry(
        "seqmodels.data.datasets.parallel_text:ParallelText",
        "seqmodels.config.data:PairsDataConfig",
        "your own pairs: two UTF-8 files, line by line",
    ),
    "pairs_file": Entry(
        "seqmodels.data.datasets.pairs_file:PairsFile",
        "seqmodels.config.data:PairsDataConfig",
        "your own pairs: CSV or TSV files with named columns",
    ),
    "tfds_pairs": Entry(
        "seqmodels.data.datasets.catalog_pairs:CatalogPairs",
        "seqmodels.config.data:PairsDataConfig",
        "tfds_pairs:NAME, two texts of a TFDS catalog data set in array_record form",
    ),
    "order_sentences": Entry(
        "seqmodels.data.datasets.order_sentences:OrderSentences",
        "seqmodels.config.labelled:LabelledTextDataConfig",
        "built in: praise and blame that turn on order and negation",
    ),
    "stories": Entry(
        "seqmodels.data.datasets.stories:Stories",
        "seqmodels.config.labelled:LabelledTextDataConfig",
        "built in: little stories with a question, answered by a place",
    ),
    "rotten_tomatoes": Entry(
        "seqmodels.data.datasets.sentiment:RottenTomatoes",
        "seqmodels.config.labelled:LabelledTextDataConfig",
        "MR, sentences of film reviews: data.path, or `prepare` downloads it",
    ),
    "sst2": Entry(
        "seqmodels.data.datasets.sentiment:SST2",
        "seqmodels.config.labelled:LabelledTextDataConfig",
        "SST-2, whole sentences of film reviews: data.path, or `prepare` downloads it",
    ),
    "labelled_file": Entry(
        "seqmodels.data.datasets.labelled_file:LabelledFile",
        "seqmodels.config.labelled:LabelledTextDataConfig",
        "your own texts and their classes: CSV or TSV files with named columns",
    ),
    "tfds_labelled": Entry(
        "seqmodels.data.datasets.catalog_labelled:CatalogLabelled",
        "seqmodels.config.labelled:LabelledTextDataConfig",
        "tfds_labelled:NAME, a text and a class of a TFDS catalog data set in array_record form",
    ),
}


def resolve(reference: str) -> Any:
    """Imports 'module:Class' and returns the class."""
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)
