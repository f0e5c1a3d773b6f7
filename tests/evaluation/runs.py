"""Runs that nothing was trained for: random parameters, a tokenizer, no work directory."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
from seqmodels.config.labelled import LabelledTextDataConfig
from seqmodels.data.pair_tokenizer import PairTokenizer
from seqmodels.data.text_labels import TextLabels

from seqmodels.config.data import PairsDataConfig, TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.models import ModelConfig
from seqmodels.config.tasks import ClassificationConfig, LanguageModelConfig, TranslationConfig
from seqmodels.data.common import make_task
from seqmodels.data.tokenizers import CharacterTokenizer
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.runs.run import Run
from seqmodels.types import Tokenizer


def make_run(model: ModelConfig, symbols: str, unknown_symbols: bool = False) -> Run:
    """A run over characters."""
    return make_text_run(model, CharacterTokenizer(symbols, unknown_symbols))


def make_text_run(model: ModelConfig, tokenizer: Tokenizer) -> Run:
    """A run over text."""
    return _make(ExperimentConfig(model, TextDataConfig(), LanguageModelConfig()), tokenizer)


def make_pair_run(model: ModelConfig, symbols: str, **data: Any) -> Run:
    """A run over pairs, one vocabulary of characters."""
    tokenizer = CharacterTokenizer(symbols, unknown_symbols=False)
    config = ExperimentConfig(model, PairsDataConfig(**data), TranslationConfig())
    return _make(config, PairTokenizer(tokenizer, tokenizer, shared=True))


def make_labelled_run(model: ModelConfig, symbols: str, **data: Any) -> Run:
    """A run over texts of two classes, characters behind [CLS]."""
    config = ExperimentConfig(model, LabelledTextDataConfig(**data), ClassificationConfig())
    tokenizer = CharacterTokenizer(symbols, unknown_symbols=True)
    return _make(config, TextLabels(tokenizer, ("no", "yes"), class_token=True))


def _make(config: ExperimentConfig, encoding: Any) -> Run:
    task = make_task(config)
    spec = task.make_spec(encoding)
    model = build_model(config.model, spec)
    if config.model.fitted:  # for the caller to fit
        return Run(Path("nowhere"), model, None, encoding, task, config, spec, 0)
    params = nn.meta.unbox(jax.jit(functools.partial(init_params, model))(jax.random.key(0)))
    # Sharper than at the start of a training, so that what stands before matters.
    params = jax.tree.map(lambda x: 3 * x, params)
    return Run(Path("nowhere"), model, params, encoding, task, config, spec, 0)
