"""A target from a source: what is called with what, loss, whole sequences, the baseline."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.features import TokensConfig
from seqmodels.config.tasks import TranslationConfig
from seqmodels.data.examples import ExampleSplit
from seqmodels.data.features.tokens import BOS, EOS, EncodedTokens, Tokens
from seqmodels.data.token_store import TokenSplit
from seqmodels.data.tokenizers import CharacterTokenizer
from seqmodels.tasks.translation import WHOLE, Translation, count_targets
from seqmodels.types import Batch
from tests.tasks.stand_in import StandIn, trial
from tests.tolerances import TOLERANCE

TASK = Translation(TranslationConfig())
V = 5
ROWS = [[1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 0, 0]]
WEIGHTS = np.array(ROWS, np.float32)
TARGETS = np.array([[1, 2, 4], [3, 4, 0], [4, 0, 0], [0, 0, 0]], np.int32)
SOURCE = np.arange(8).reshape(4, 2) % V


class Model(StandIn):
    """Logits that the parameters are; notes how it was called."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def apply(self, variables: Any, x: Any, *_: Any, method: str = "", **keywords: Any) -> Any:
        if method == "readout":
            return x
        self.calls.append({"method": method, "inputs": x, **keywords})
        return "memory" if method == "encode" else (variables["params"], None)


def batch() -> Batch:
    segments = WEIGHTS.astype(np.int32)
    sources = np.array([[1, 1], [1, 0], [1, 1], [0, 0]], np.int32)
    inputs = np.roll(TARGETS, 1, axis=1)
    arrays = Batch(inputs, TARGETS, WEIGHTS, segments, None, SOURCE, sources)
    return jax.tree.map(jnp.asarray, arrays)


def logits() -> jax.Array:
    """Right everywhere, but for the last token of row 1; NaN where nothing counts."""
    values = np.random.default_rng(0).normal(size=(4, 3, V)).astype(np.float32)
    values[np.arange(4)[:, None], np.arange(3)[None], TARGETS] = 5.0
    values[1, 1] = np.roll(values[1, 1], 1)
    values[WEIGHTS == 0] = np.nan
    return jnp.asarray(values)


def nats(values: jax.Array, smoothing: float) -> float:
    rows = np.asarray(values, np.float64)[WEIGHTS > 0]
    log_p = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
    wanted = (1 - smoothing) * np.eye(V)[TARGETS[WEIGHTS > 0]] + smoothing / V
    return float(-(wanted * log_p).sum())


def test_the_source_is_encoded_and_the_decoder_looks_at_it() -> None:
    model = Model()
    TASK.forward(model, logits(), batch(), None, train=True, key=jax.random.key(0))
    encode, decode = model.calls
    assert encode["method"] == "encode"
    np.testing.assert_array_equal(encode["inputs"], SOURCE)
    np.testing.assert_array_equal(encode["segment_ids"], batch().source_segment_ids)
    assert decode["memory"] == "memory"
    np.testing.assert_array_equal(decode["inputs"], batch().inputs)
    np.testing.assert_array_equal(decode["segment_ids"], batch().segment_ids)
    keys = [jax.random.key_data(call["rngs"]["dropout"]).tolist() for call in model.calls]
    assert keys[0] != keys[1], "layers that both calls use would drop alike"


def test_loss_tokens_and_whole_sequences() -> None:
    values = logits()
    loss, weight, metrics, carry = TASK.forward(
        Model(), values, batch(), None, train=False, key=None
    )
    assert carry is None and weight == 6
    np.testing.assert_allclose(loss, nats(values, 0.0), **TOLERANCE["rounding"])
    assert metrics.keys() == set(TASK.metric_names)
    assert [float(x) for x in metrics["accuracy"]] == [5.0, 6.0]
    assert [float(x) for x in metrics[WHOLE]] == [2.0, 3.0]
    sums = {name: (float(a), float(b)) for name, (a, b) in metrics.items()}
    found = TASK.summarize(sums, None)
    assert found[WHOLE] == 2 / 3 and found["num_sequences"] == 3 and found["num_targets"] == 6
    np.testing.assert_allclose(found["perplexity"], np.exp(loss / 6), **TOLERANCE["rounding"])


def test_label_smoothing_is_of_training_only() -> None:
    task, values = Translation(TranslationConfig(label_smoothing=0.2)), logits()
    key = jax.random.key(0)
    loss, _, metrics, _ = task.forward(Model(), values, batch(), None, train=True, key=key)
    np.testing.assert_allclose(loss, nats(values, 0.2), **TOLERANCE["rounding"])
    np.testing.assert_allclose(metrics["loss"][0], nats(values, 0.0), **TOLERANCE["rounding"])


@pytest.mark.parametrize("unknown", [False, True])
def test_baseline_is_the_unigram_of_the_targets(unknown: bool) -> None:
    """Where b is not in the vocabulary, it is <unk>."""
    letters = CharacterTokenizer("ac" if unknown else "abc", unknown)
    target = Tokens(TokensConfig(), letters, (BOS, EOS), ends=True)

    def split(*texts: str) -> ExampleSplit:
        tokens = [letters.encode(text, unknown=unknown) for text in texts]
        offsets = np.cumsum([0, *map(len, tokens)])
        side = EncodedTokens(TokenSplit(np.concatenate(tokens), offsets), target)
        return ExampleSplit({"targets": side}, np.arange(len(texts)))

    found = TASK.baseline(trial({"targets": target}, split("aab", "ab", "a"), split("abc", "b")))
    counts = np.array([4, 2, 0, 0, 3]) + 1  # a, b, c, <bos>, <eos>
    expected = -np.log(counts[[0, 1, 2, 4, 1, 4]] / counts.sum()).mean()
    np.testing.assert_allclose(found["loss"], expected, **TOLERANCE["rounding"])
    assert found["model"] == "unigram" and found["accuracy"] == 1 / 6
    assert ("perplexity_without_unknown" in found) == unknown
    if unknown:
        known = -np.log(counts[[0, 2, 4, 4]] / counts.sum()).mean()
        np.testing.assert_allclose(
            found["perplexity_without_unknown"], np.exp(known), **TOLERANCE["rounding"]
        )
        return
    longer = split("ab", "aaaaaaa")
    only = ExampleSplit(longer.columns, np.array([0]))
    assert count_targets(only, target).tolist() == [1, 1, 0, 0, 1]


def test_jit_sees_no_padding() -> None:
    """Gradients stay finite where rows and positions hold nothing."""

    def loss(params: jax.Array) -> jax.Array:
        return TASK.forward(Model(), params, batch(), None, train=False, key=None)[0]

    values = jnp.nan_to_num(logits())
    gradient = jax.jit(jax.grad(loss))(values)
    assert np.isfinite(gradient).all()
    assert not np.asarray(gradient)[WEIGHTS == 0].any()
