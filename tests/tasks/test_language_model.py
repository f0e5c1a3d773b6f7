"""The loss against numpy written from its equation."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.tasks import LanguageModelConfig
from seqmodels.config.transformers import GPTConfig
from seqmodels.distributed.mesh import unboxed
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.tasks import scores
from seqmodels.tasks.language_model import LanguageModel
from seqmodels.types import Batch, DataSpec, TokenInput, VocabOutput
from tests.distributed import hlo
from tests.tasks.stand_in import StandIn
from tests.tolerances import TOLERANCE

B, T, V = 2, 5, 11
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(B, T, V)).astype(np.float32)
TARGETS = RNG.integers(0, V, (B, T)).astype(np.int32)
WEIGHTS = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.float32)


class Logits(StandIn):
    """A model whose logits are given: apply(...) of call and of readout."""

    def __init__(self, logits: np.ndarray) -> None:
        self.logits = logits

    def apply(self, variables, inputs, *args, method=None, **kwargs):
        return jnp.asarray(self.logits) if method == "readout" else (inputs, None)


def forward(logits: np.ndarray, *, train: bool, label_smoothing: float = 0.0):
    task = LanguageModel(LanguageModelConfig(label_smoothing=label_smoothing))
    batch = jax.tree.map(jnp.asarray, Batch(TARGETS, TARGETS, WEIGHTS))
    return task.forward(Logits(logits), {}, batch, None, train=train, key=jax.random.key(0))


def log_probabilities() -> np.ndarray:
    x = LOGITS.astype(np.float64)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def test_loss_is_the_sum_over_weighted_targets() -> None:
    picked = np.take_along_axis(log_probabilities(), TARGETS[..., None], -1)[..., 0]
    loss, weight, metrics, carry = forward(LOGITS, train=True)
    np.testing.assert_allclose(loss, -(picked * WEIGHTS).sum(), **TOLERANCE["reference"])
    assert float(weight) == WEIGHTS.sum() == float(metrics["accuracy"][1])
    hits = (LOGITS.argmax(-1) == TARGETS) * WEIGHTS
    assert float(metrics["accuracy"][0]) == hits.sum()
    assert carry is None


def test_targets_of_weight_zero_enter_nothing_even_as_nan() -> None:
    broken = np.where(WEIGHTS[..., None] > 0, LOGITS, np.nan)
    assert float(forward(broken, train=True)[0]) == float(forward(LOGITS, train=True)[0])


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("train", [True, False])
def test_logits_are_made_in_chunks_where_there_are_many(
    tied: bool, train: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loss, figures and gradients are those of the whole, which the program does not hold."""
    config = GPTConfig(num_layers=1, model_dim=6, num_heads=2, max_length=T, tie_embeddings=tied)
    model = build_model(config, DataSpec(TokenInput(V), VocabOutput(V, unknown_id=3)))
    params = unboxed(init_params(model, jax.random.key(0)))
    task = LanguageModel(LanguageModelConfig(label_smoothing=0.1))
    batch = jax.tree.map(jnp.asarray, Batch(TARGETS, TARGETS, WEIGHTS))

    def run() -> tuple[Any, set[tuple[int, ...]]]:
        def loss(params: Any) -> tuple[jax.Array, Any]:
            return task.forward(model, params, batch, None, train=train, key=None)[::2]

        program = jax.jit(jax.value_and_grad(loss, has_aux=True)).lower(params)
        return program.compile()(params), set(hlo.shapes(program.as_text(dialect="hlo")))

    whole, held = run()
    monkeypatch.setattr(scores, "CHUNK", 4 * V)
    chunked, parts = run()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, **TOLERANCE["rounding"]), whole, chunked
    )
    logits = {(B, T, V), (B * T, V), (1, B * T, V)}
    assert held & logits
    assert not parts & logits


@pytest.mark.parametrize("train", [True, False])
def test_label_smoothing_only_in_training_and_never_in_the_metric(train: bool) -> None:
    smoothing = 0.3
    log_p = log_probabilities()
    picked = np.take_along_axis(log_p, TARGETS[..., None], -1)[..., 0]
    smooth = -((1 - smoothing) * picked + smoothing * log_p.mean(-1))
    loss, _, metrics, _ = forward(LOGITS, train=train, label_smoothing=smoothing)
    want = (smooth if train else -picked) * WEIGHTS
    np.testing.assert_allclose(loss, want.sum(), **TOLERANCE["reference"])
    np.testing.assert_allclose(
        metrics["loss"][0], -(picked * WEIGHTS).sum(), **TOLERANCE["reference"]
    )


def test_perplexity_with_and_without_unknown_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """<unk> is one token for many words, so that it is easy to predict."""
    spec = DataSpec(TokenInput(V), VocabOutput(V, unknown_id=int(TARGETS[1, 2])))
    monkeypatch.setattr(Logits, "spec", spec)
    _, _, metrics, _ = forward(LOGITS, train=False)
    assert "known_loss" not in forward(LOGITS, train=True)[2]
    picked = np.take_along_axis(log_probabilities(), TARGETS[..., None], -1)[..., 0]
    counted, known = WEIGHTS > 0, TARGETS[1, 2] != TARGETS
    sums = {name: tuple(map(float, pair)) for name, pair in metrics.items()}
    found = LanguageModel(LanguageModelConfig()).summarize(sums, None)
    expected = np.exp(-picked[counted & known].mean())
    np.testing.assert_allclose(
        found["perplexity_without_unknown"], expected, **TOLERANCE["reference"]
    )
    np.testing.assert_allclose(
        found["perplexity"], np.exp(-picked[counted].mean()), **TOLERANCE["reference"]
    )
    assert found["num_unknown"] == (counted & ~known).sum() > 0
    sums["known_loss"] = sums["loss"]
    none = LanguageModel(LanguageModelConfig()).summarize(sums, None)
    assert not {"num_unknown", "perplexity_without_unknown"} & set(none)


def test_summary_units() -> None:
    task = LanguageModel(LanguageModelConfig())
    sums = {"loss": (20 * math.log(2), 10.0), "accuracy": (4.0, 10.0)}
    summary = task.summarize(sums, num_bytes=40.0)
    assert summary["num_targets"] == 10 and summary["accuracy"] == 0.4
    np.testing.assert_allclose(summary["perplexity"], 4.0, **TOLERANCE["rounding"])
    np.testing.assert_allclose(summary["bits_per_byte"], 0.5, **TOLERANCE["rounding"])
    assert "bits_per_byte" not in task.summarize(sums, num_bytes=None)
