"""Evaluation of every trained model: dropout is off, whatever the config says."""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax
import pytest

from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import EvaluationConfig
from seqmodels.evaluation.evaluate import Evaluator
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.tasks.language_model import LanguageModel
from tests.conformance.cases import CAUSAL_KINDS, CONFIGS, SPECS, T
from tests.evaluation.corpus import make_data

LANGUAGE_MODELS = [
    n for n in CAUSAL_KINDS if n not in SPECS and hasattr(CONFIGS[n], "dropout_rate")
]


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_evaluation_drops_nothing(name: str) -> None:
    data, task = make_data(), LanguageModel(LanguageModelConfig())
    config = EvaluationConfig(sequence_length=T, batch_size=64)
    first, second = (
        build_model(dataclasses.replace(CONFIGS[name], dropout_rate=rate), data.spec)
        for rate in (0.0, 0.5)
    )
    params = nn.unbox(jax.jit(lambda key: init_params(first, key))(jax.random.key(0)))
    results = [
        Evaluator(model, data, config, task, 0)(params, "validation") for model in (first, second)
    ]
    assert results[0] == results[1]
