"""The loss over the chosen tokens, against numpy; what the task makes of tokenizer and batches."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.tasks import MaskedLanguageModelConfig
from seqmodels.data.text import as_features
from seqmodels.data.tokenizers import ByteTokenizer, CharacterTokenizer
from seqmodels.tasks.masked_language_model import MaskedLanguageModel
from seqmodels.types import Batch, TokenInput, VocabOutput
from tests.tasks.stand_in import StandIn
from tests.tolerances import TOLERANCE

B, T, V = 2, 10, 11
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(B, T, V)).astype(np.float32)
TARGETS = RNG.integers(0, V, (B, T)).astype(np.int32)
WEIGHTS = np.zeros((B, T), np.float32)
WEIGHTS[0, [3, 7]] = WEIGHTS[1, 9] = 1.0
TASK = MaskedLanguageModel(MaskedLanguageModelConfig(mask_rate=0.2))


class Model(StandIn):
    """Its features are the logits; it takes token types where there are any."""

    def apply(self, variables, inputs, *args, method=None, token_types=None, **keywords):
        self.token_types = token_types if method is None else self.token_types
        return jnp.asarray(inputs) if method == "readout" else (jnp.asarray(LOGITS), None)


def forward(weights: np.ndarray, **parts: np.ndarray):
    batch = Batch(TARGETS, TARGETS, jnp.asarray(weights), **parts)
    return TASK.forward(Model(), {}, batch, None, train=True, key=jax.random.key(0))


def test_loss_and_accuracy_are_those_of_the_chosen() -> None:
    x = LOGITS.astype(np.float64)
    logp = x - np.log(np.exp(x).sum(-1, keepdims=True))
    picked = np.take_along_axis(logp, TARGETS[..., None], -1)[..., 0]
    loss, weight, metrics, carry = forward(WEIGHTS)
    np.testing.assert_allclose(loss, -(picked * WEIGHTS).sum(), **TOLERANCE["reference"])
    assert float(weight) == 3.0 and carry is None
    hits = ((LOGITS.argmax(-1) == TARGETS) * WEIGHTS).sum()
    assert tuple(map(float, metrics["accuracy"])) == (hits, 3.0)


def test_more_chosen_than_the_rule_allows_is_no_loss_at_all() -> None:
    assert np.isnan(forward(np.ones((B, T), np.float32))[0])


def test_token_types_reach_the_model() -> None:
    model, types = Model(), np.ones((B, T), np.int32)
    batch = Batch(TARGETS, TARGETS, jnp.asarray(WEIGHTS), token_types=types)
    TASK.forward(model, {}, batch, None, train=False, key=None)
    assert model.token_types is types


@pytest.mark.parametrize(("mask_id", "size"), [(None, 257), (103, 256)])
def test_the_vocabulary_has_a_mask_token(mask_id: int | None, size: int) -> None:
    tokenizer = ByteTokenizer()
    tokenizer.mask_id = mask_id
    spec = TASK.make_spec(as_features(tokenizer))
    assert (spec.inputs, spec.outputs) == (TokenInput(size), VocabOutput(size))


def test_a_row_shows_what_is_read_and_what_it_was() -> None:
    tokenizer = CharacterTokenizer("abcdef", unknown_symbols=False)
    inputs = np.array([[0, 6, 2, 3, 1, 5, 0, 0]], np.int32)
    targets = np.array([[0, 1, 2, 3, 4, 5, 0, 0]], np.int32)
    weights = np.array([[0, 1, 0, 1, 1, 0, 0, 0]], np.float32)
    segments = np.array([[1, 1, 1, 1, 2, 2, 0, 0]], np.int32)
    shown = TASK.show(Batch(inputs, targets, weights, segments), 0, as_features(tokenizer))
    assert shown == "a{[MASK]>b}c{d>d}\n{b>e}f"


def test_summary_is_per_chosen_token() -> None:
    summary = TASK.summarize({"loss": (6.0, 3.0), "accuracy": (1.0, 3.0)}, 12.0)
    wanted = {"loss": 2.0, "perplexity": np.exp(2.0), "accuracy": 1 / 3, "num_targets": 3}
    assert summary == pytest.approx(wanted)
