"""Evaluation of a masked language model: fixed masks, and the unigram on the same tokens."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from seqmodels.config.data import TextDataConfig
from seqmodels.config.experiment import ExperimentConfig
from seqmodels.config.tasks import MaskedLanguageModelConfig
from seqmodels.config.training import EvaluationConfig, EvaluationContext
from seqmodels.config.transformers import BERTConfig
from seqmodels.evaluation.evaluate import Evaluator
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.tasks.masked_language_model import MaskedLanguageModel
from tests.evaluation.corpus import make_data
from tests.opening import baseline
from tests.tolerances import TOLERANCE

TASK = MaskedLanguageModel(MaskedLanguageModelConfig())
PLAIN = make_data()
DATA = dataclasses.replace(PLAIN, spec=TASK.make_spec(PLAIN.features), task=TASK)
BERT = BERTConfig(num_layers=1, model_dim=12, num_heads=3, mlp_dim=10, max_length=16)
LENGTH = 16


def settings(rows: int) -> EvaluationConfig:
    return EvaluationConfig(EvaluationContext.WINDOW, LENGTH, rows)


def test_every_evaluation_asks_for_the_same_tokens_however_many_at_once() -> None:
    model = build_model(BERT, DATA.spec)
    params = nn.meta.unbox(jax.jit(lambda key: init_params(model, key))(jax.random.key(0)))
    evaluate = Evaluator(model, DATA, settings(4), TASK, seed=1)
    first: dict[str, Any] = evaluate(params, "validation")
    assert evaluate(params, "validation") == first
    assert "bits_per_byte" not in first
    windows = -(-(len(DATA.splits["validation"].tokens) - 1) // LENGTH)
    assert first["num_targets"] in range(2 * windows - 2, 2 * windows + 1)  # round(0.15 * 16) each
    others = Evaluator(model, DATA, settings(7), TASK, seed=1)(params, "validation")
    for name in ("loss", "accuracy", "num_targets"):
        np.testing.assert_allclose(others[name], first[name], **TOLERANCE["rounding"])
    assert Evaluator(model, DATA, settings(4), TASK, seed=2)(params, "validation") != first


def test_the_baseline_is_the_unigram_on_the_same_tokens() -> None:
    config = ExperimentConfig(BERT, TextDataConfig(), MaskedLanguageModelConfig())
    config.evaluation = settings(4)
    found = baseline(DATA, "validation", config)
    counts = np.bincount(DATA.splits["train"].tokens)
    tokens = np.asarray(DATA.splits["validation"].tokens)
    assert (found["model"], found["order"]) == ("ngram", 1)
    # A sample of the split's tokens, so that its figures are near those of all of them.
    whole = -np.log(counts[tokens] / counts.sum()).mean()
    assert abs(found["loss"] - whole) < 0.05
    share = (tokens == counts.argmax()).mean()
    assert abs(found["accuracy"] - share) < 5 * np.sqrt(share * (1 - share) / (0.15 * len(tokens)))
