"""Evaluation of every model: dropout is off, and the batch size changes no figure."""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.training import EvaluationConfig, EvaluationContext
from seqmodels.evaluation.evaluate import Evaluator
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.tasks.language_model import LanguageModel
from tests.conformance.case import far_from_start
from tests.conformance.cases import CAUSAL_KINDS, CONFIGS, SPECS, T
from tests.evaluation.corpus import make_data
from tests.tolerances import TOLERANCE

EVERY = [
    (n, context)
    for n in CAUSAL_KINDS
    if n not in SPECS
    for context in EvaluationContext
    if CONFIGS[n].unbounded or context is not EvaluationContext.CARRY
]
QUICK = [(name, EvaluationContext.CARRY) for name in ("aaren", "recurrent")]
"""A stream is read in other chunks; tests/data/test_contexts.py has the law for all plans."""
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


@pytest.mark.parametrize(
    "name, context",
    [x if x in QUICK else pytest.param(*x, marks=pytest.mark.grid) for x in EVERY],
)
def test_the_batch_size_changes_no_figure(name: str, context: EvaluationContext) -> None:
    data, task = make_data(), LanguageModel(LanguageModelConfig())
    model = build_model(CONFIGS[name], data.spec)
    if CONFIGS[name].fitted:
        params = jax.tree.map(jnp.asarray, model.fit(data.splits["train"]))
    else:
        params = nn.unbox(jax.jit(lambda key: init_params(model, key))(jax.random.key(0)))
        params = far_from_start(params)
    settings = EvaluationConfig(context, sequence_length=T, num_crops=50)
    one, many = (
        Evaluator(model, data, dataclasses.replace(settings, batch_size=size), task, 0)(
            params, "validation"
        )
        for size in (3, 64)
    )
    assert one.keys() == many.keys()
    for figure, value in one.items():
        if isinstance(value, float):
            np.testing.assert_allclose(many[figure], value, **TOLERANCE["chunking"])
        else:
            assert many[figure] == value
