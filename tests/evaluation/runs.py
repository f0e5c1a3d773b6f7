"""Runs that nothing was trained for: random parameters, features, no work directory."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax

from seqmodels.config.data import ExamplesDataConfig, TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.features import LabelConfig, TagsConfig, TokenizerKind, TokensConfig
from seqmodels.config.models import ModelConfig
from seqmodels.config.tasks import (
    ClassificationConfig,
    LanguageModelConfig,
    TaggingConfig,
    TranslationConfig,
)
from seqmodels.data.features.label import Label
from seqmodels.data.features.tags import Tags
from seqmodels.data.features.tokens import BOS, CLASS_TOKEN, EOS, Tokens
from seqmodels.data.text import as_features
from seqmodels.data.tokenizers import CharacterTokenizer
from seqmodels.data.words import WordTokenizer
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.protocols import Features
from seqmodels.runs.run import Run
from seqmodels.tasks.build import build_task
from seqmodels.types import Tokenizer


def make_run(model: ModelConfig, symbols: str, unknown_symbols: bool = False) -> Run:
    """A run over characters."""
    return make_text_run(model, CharacterTokenizer(symbols, unknown_symbols))


def make_text_run(model: ModelConfig, tokenizer: Tokenizer) -> Run:
    """A run over text."""
    config = ExperimentConfig(model, TextDataConfig(), LanguageModelConfig())
    return _make(config, as_features(tokenizer))


def make_pair_run(model: ModelConfig, symbols: str, **fields: Any) -> Run:
    """A run over pairs, one vocabulary of characters; `fields` are those of both sides."""
    tokenizer = CharacterTokenizer(symbols, unknown_symbols=False)
    fields = {"max_length": 64, **fields}
    source = TokensConfig(column="source", tokenizer=TokenizerKind.SHARED, **fields)
    targets = TokensConfig(column="target", **fields)
    data = ExamplesDataConfig(source=source, targets=targets)
    features = {
        "source": Tokens(source, tokenizer, (BOS, EOS)),
        "targets": Tokens(targets, tokenizer, (BOS, EOS), ends=True),
    }
    return _make(ExperimentConfig(model, data, TranslationConfig()), features)


def make_labelled_run(model: ModelConfig, symbols: str, **fields: Any) -> Run:
    """A run over texts of two classes, characters after [CLS]; `fields` are those of the texts."""
    tokenizer = CharacterTokenizer(symbols, unknown_symbols=True)
    inputs, targets = TokensConfig(class_token=True, **fields), LabelConfig()
    data = ExamplesDataConfig(name="order_sentences", inputs=inputs, targets=targets)
    features = {
        "inputs": Tokens(inputs, tokenizer, (CLASS_TOKEN,), starts=True),
        "targets": Label(targets, ("no", "yes")),
    }
    return _make(ExperimentConfig(model, data, ClassificationConfig()), features)


def make_tagging_run(model: ModelConfig, words: list[str], names: tuple[str, ...]) -> Run:
    """A run over texts of words, with a label for each."""
    inputs, targets = TokensConfig(tokenizer=TokenizerKind.WORD, max_length=16), TagsConfig()
    data = ExamplesDataConfig(name="table", inputs=inputs, targets=targets)
    features = {
        "inputs": Tokens(inputs, WordTokenizer(words), starts=True),
        "targets": Tags(targets, names),
    }
    return _make(ExperimentConfig(model, data, TaggingConfig()), features)


def _make(config: ExperimentConfig, features: Features) -> Run:
    task = build_task(config)
    spec = task.make_spec(features)
    model = build_model(config.model, spec)
    if config.model.fitted:  # for the caller to fit
        return Run(Path("nowhere"), model, None, features, task, config, spec, 0)
    params = nn.meta.unbox(jax.jit(functools.partial(init_params, model))(jax.random.key(0)))
    # Sharper than at the start of a training, so that the context matters.
    params = jax.tree.map(lambda x: 3 * x, params)
    return Run(Path("nowhere"), model, params, features, task, config, spec, 0)
