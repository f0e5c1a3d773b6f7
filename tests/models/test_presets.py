"""Parameter counts of models of published sizes, computed without memory."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest

from seqmodels.config.files import load_config
from seqmodels.config.transformers import AarenConfig
from seqmodels.distributed.mesh import unboxed
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.types import ClassOutput, DataSpec, ImageInput, TokenInput, VocabOutput


def count(params: Any) -> int:
    return sum(x.size for x in jax.tree.leaves(params))


def abstract(reference: str, spec: DataSpec) -> Any:
    model = build_model(load_config(reference).model, spec)
    return unboxed(jax.eval_shape(lambda key: init_params(model, key), jax.random.key(0)))


def language(vocab_size: int) -> DataSpec:
    return DataSpec(TokenInput(vocab_size), VocabOutput(vocab_size))


PUBLISHED = {
    "gpt:gpt2_124m": (50_257, 124_439_808),
    "zaremba_lstm:small": (10_000, 4_651_600),
    "wikitext2_lstm": (33_278, 13_986_078),
    "music_lab": (83, 5_353_299),
    "gpt:gpt1": (40_478, 116_534_784),
    "gpt:gpt2_355m": (50_257, 354_823_168),
    "gpt:gpt2_774m": (50_257, 774_030_080),
    "gpt:gpt2_1558m": (50_257, 1_557_611_200),
    "gpt:llama2_7b": (32_000, 6_738_415_616),
    "zaremba_lstm:medium": (10_000, 19_775_200),
    "zaremba_lstm:large": (10_000, 66_022_000),
}
"""Vocabulary and parameters. GPT-1, GPT-2 and Llama 2: the sizes of the released weights. Zaremba
et al. state 20 and 66 million; exact from the equations, with one bias a gate, wikitext2_lstm too.
music_lab: the lab's own count."""


@pytest.mark.parametrize("reference", PUBLISHED)
def test_a_preset_has_its_published_size(reference: str) -> None:
    vocab_size, expected = PUBLISHED[reference]
    assert count(abstract(reference, language(vocab_size))) == expected


@pytest.mark.grid
def test_the_lab_s_model_knows_nothing_untrained() -> None:
    """4.42 nats, which the lab prints before training."""
    model = build_model(load_config("music_lab").model, language(83))
    params = nn.unbox(jax.jit(lambda key: init_params(model, key))(jax.random.key(0)))
    inputs, targets = np.random.default_rng(1).integers(0, 83, (2, 4, 32), dtype=np.int32)

    @jax.jit
    def loss(params: Any, inputs: jax.Array) -> jax.Array:
        logits = model.apply({"params": params}, inputs, train=False, method=read)
        return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()

    assert f"{loss(params, inputs):.2f}" == f"{math.log(83):.2f}" == "4.42"


def read(model: Any, inputs: jax.Array, *, train: bool) -> jax.Array:
    features, _ = model(inputs, memory=None, train=train)
    return model.readout(features)


@pytest.mark.parametrize("variant, expected", [("base", 109_482_240), ("large", 335_141_888)])
def test_bert_with_its_pooler_has_its_published_size(variant: str, expected: int) -> None:
    """30,522 word pieces, without the classifier on top."""
    spec = DataSpec(TokenInput(30_522), ClassOutput(2, per_step=False))
    params = abstract(f"bert:{variant}", spec)
    assert count(params) - count(params["head"]) == expected


@pytest.mark.parametrize("variant, gates", [("gru", 2), ("lstm", 3)])
def test_minimal_networks_have_the_size_of_their_equations(variant: str, gates: int) -> None:
    """Per layer: norms, convolution, gates, projection to the width, feed-forward part."""
    d, n, f, v = 384, 768, 1536, 65
    layer = 4 * d + (4 + 1) * d + gates * (d + 1) * n + (n + 1) * d + (d + 1) * f + (f + 1) * d
    expected = v * d + 3 * layer + 2 * d + (d + 1) * v
    assert count(abstract(f"shakespeare_min_rnn:{variant}", language(v))) == expected


def test_aaren_has_model_dim_more_parameters_a_layer_than_its_rival() -> None:
    aaren, rival = (
        count(abstract(f"shakespeare_aaren:{name}", language(65)))
        for name in ("aaren", "transformer")
    )
    model = load_config("shakespeare_aaren:aaren").model
    assert isinstance(model, AarenConfig)
    assert aaren - rival == model.num_layers * model.model_dim


@pytest.mark.parametrize(
    "variant, expected",
    [("tiny", 5_717_416), ("small", 22_050_664), ("base", 86_567_656), ("large", 304_326_632)],
)
def test_vision_transformers_have_their_published_sizes(variant: str, expected: int) -> None:
    """1000 classes, images of 224 x 224 in colour."""
    spec = DataSpec(ImageInput(224, 224, 3), ClassOutput(1000, per_step=False))
    assert count(abstract(f"vit:{variant}", spec)) == expected


@pytest.mark.parametrize("variant, published", [("base", 65e6), ("big", 213e6)])
def test_transformers_have_the_size_of_their_equations(variant: str, published: float) -> None:
    """One table of 37,000 tokens for both sides and the logits; the paper rounds, 65 and 213M."""
    d, f, v, layers = {"base": (512, 2048, 37_000, 6), "big": (1024, 4096, 37_000, 6)}[variant]
    attention = 4 * (d * d + d)
    feedforward = 2 * d * f + f + d
    norm = 2 * d
    encoder = attention + feedforward + 2 * norm
    decoder = 2 * attention + feedforward + 3 * norm
    spec = dataclasses.replace(language(v), source=TokenInput(v))
    found = count(abstract(f"transformer:{variant}", spec))
    assert found == v * d + layers * (encoder + decoder)
    assert abs(found / published - 1) < 0.04
