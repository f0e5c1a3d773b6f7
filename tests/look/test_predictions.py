"""Probabilities, the lens, attribution, neighbours and spectra against other ways to them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.special

from seqmodels.config.models import NgramConfig
from seqmodels.look import parameters, predictions
from seqmodels.models.build import build_model
from tests.conformance.cases import LANGUAGE, corpus
from tests.look.runs import TOKENS, inside, weights
from tests.tolerances import TOLERANCE

T = TOKENS.shape[1]


def logits_of(name: str, params) -> np.ndarray:
    """A plain run of the model."""
    model = inside(name).model

    def run(params):
        features, _ = model.apply({"params": params}, jnp.asarray(TOKENS), train=False)
        return model.apply({"params": params}, features, method="readout")[0]

    return np.asarray(jax.jit(run)(params), np.float64)


def test_each_target_has_its_log_probability() -> None:
    expected = scipy.special.log_softmax(logits_of("gpt", inside("gpt").params), axis=-1)
    targets = np.roll(TOKENS[0], -1)
    found = predictions.target_log_probabilities(inside("gpt"))
    expected = [expected[t, token] for t, token in enumerate(targets)]
    np.testing.assert_allclose(found, expected, **TOLERANCE["rounding"])


@pytest.mark.parametrize("name", ["gpt", "lstm"])
def test_the_lens_ends_with_the_prediction(name: str) -> None:
    seen = inside(name)
    found = predictions.lens_log_probabilities(seen)
    assert found is not None
    np.testing.assert_allclose(found[-1], seen.log_probabilities, **TOLERANCE["rounding"])
    assert abs(found[0] - found[-1]).max() > 0.1
    if name == "gpt":
        w = weights(name)
        x = seen.values["blocks.0.resid_post"].astype(np.float64)
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        norm, head = w["stack"]["final_norm"], w["head"]["Dense_0"]
        x = (x * norm["scale"] + norm["bias"]) @ head["kernel"] + head["bias"]
        expected = scipy.special.log_softmax(x, axis=-1)
        np.testing.assert_allclose(found[0], expected, **TOLERANCE["chunking"])


def test_a_rival_is_asked_for_the_same_targets() -> None:
    model = build_model(NgramConfig(order=1), LANGUAGE)
    params = jax.tree.map(jnp.asarray, model.fit(corpus()))
    features, _ = model.apply({"params": params}, jnp.asarray(TOKENS), train=False)
    outputs = np.asarray(model.apply({"params": params}, features, method="readout"))[0]
    expected = outputs[np.arange(T), np.roll(TOKENS[0], -1)]
    found = predictions.rival_log_probabilities((model, params), inside("gpt"))
    np.testing.assert_allclose(found, expected, **TOLERANCE["chunking"])


def test_attributions_are_gradients_paths_and_lack() -> None:
    seen = inside("lstm")
    found = predictions.attributions(seen)
    (kinds,) = found["inputs"].values()
    target, table = found["target"], np.asarray(seen.params["embedding"]["table"])

    def score(row: np.ndarray, params=None) -> float:
        """log p of the class at the end with vectors of steps given as a table of their own."""
        changed = {**seen.params, "embedding": {"table": jnp.asarray(row, jnp.float32)}}
        return float(run(changed))

    model = seen.model

    @jax.jit
    def run(params):
        features, _ = model.apply({"params": params}, jnp.asarray(TOKENS), train=False)
        logits = model.apply({"params": params}, features[:, -1], method="readout")
        return jax.nn.log_softmax(logits[0])[target]

    value, mean = score(table), table[TOKENS[0]].mean(axis=0)
    assert value == pytest.approx(found["log_probability"], abs=1e-5)
    assert score(0 * table + mean) == pytest.approx(found["of_mean"], abs=1e-5)
    for step in (2, 7):  # tokens that occur once
        token = TOKENS[0, step]
        without, more, less = table.copy(), table.copy(), table.copy()
        without[token] = mean
        more[token], less[token] = 1.01 * more[token], 0.99 * less[token]
        lack = kinds["occlusion"][step]
        np.testing.assert_allclose(lack, value - score(without), **TOLERANCE["rounding"])
        slope = (score(more) - score(less)) / 0.02
        assert kinds["gradient_x_input"][step] == pytest.approx(slope, abs=2e-4)


@pytest.mark.parametrize("name", ["lstm", "gpt"])
def test_integrated_gradients_add_up_to_the_gain(name: str) -> None:
    found = predictions.attributions(inside(name))
    (kinds,) = found["inputs"].values()
    gain = found["log_probability"] - found["of_mean"]
    assert abs(gain) > 0.01
    assert kinds["integrated_gradients"].sum() == pytest.approx(gain, rel=0.02)
    assert abs(found["gap"]) < 0.02 * abs(gain)


def test_neighbours_and_planes() -> None:
    table = np.random.default_rng(0).normal(size=(11, 4)).astype(np.float32)
    cosine = lambda a, b: float(
        a @ b / (np.linalg.norm(a.astype(float)) * np.linalg.norm(b.astype(float)))
    )
    for token, near in zip((3, 7), parameters.nearest(table, np.array([3, 7]), 4), strict=True):
        others = sorted((-cosine(table[token], table[n]), n) for n in range(11) if n != token)[:4]
        assert [n for n, _ in near] == [n for _, n in others]
        np.testing.assert_allclose([c for _, c in near], [-c for c, _ in others], rtol=1e-6)
    points, share = parameters.principal_plane(table)
    x = table.astype(np.float64) - table.astype(np.float64).mean(0)
    scale, axes = np.linalg.eigh(x.T @ x)
    expected = x @ axes[:, ::-1][:, :2]
    np.testing.assert_allclose(abs(points), abs(expected), **TOLERANCE["rounding"])
    np.testing.assert_allclose(share, scale[::-1][:2] / scale.sum(), **TOLERANCE["rounding"])


def test_spectra_of_every_layer() -> None:
    section, w = parameters.look_at_parameters(inside("gpt")), weights("gpt")
    kernel = w["stack"]["blocks"]["attention"]["qkv"]["kernel"]
    found = section.numbers["singular_values"]
    for layer in range(2):
        expected = scipy.linalg.svdvals(kernel[layer].reshape(8, -1))
        name = f"stack/blocks/attention/qkv/kernel.{layer}"
        np.testing.assert_allclose(found[name], expected, **TOLERANCE["rounding"])
    norm = section.numbers["norms"]["embedding/table"]
    assert norm == pytest.approx(np.sqrt((w["embedding"]["table"] ** 2).sum()), rel=1e-6)
