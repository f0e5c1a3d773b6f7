"""Properties of BERT, ViT and the encoder-decoder; laws and numbers are tested elsewhere."""

from __future__ import annotations

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.models import ModelConfig
from seqmodels.config.transformers import (
    BERTConfig,
    EmbeddingTying,
    ImagePooling,
    Position,
    TransformerConfig,
    ViTConfig,
)
from seqmodels.models.build import build_model
from seqmodels.models.initialize import init_params
from seqmodels.types import ClassOutput, DataSpec, ImageInput, TokenInput, VocabOutput
from tests.tolerances import TOLERANCE

B, T, V, D = 2, 5, 11, 12
SMALL: dict[str, Any] = {"model_dim": D, "num_heads": 3, "mlp_dim": 20}
LANGUAGE = DataSpec(TokenInput(V), VocabOutput(V))
TRANSLATION = DataSpec(TokenInput(V), VocabOutput(V), TokenInput(V))
TOKENS = jnp.arange(B * T).reshape(B, T) % V


def classes(inputs: Any, number: int) -> DataSpec:
    return DataSpec(inputs, ClassOutput(number, per_step=False))


def start(config: ModelConfig, spec: DataSpec) -> tuple[Any, Any]:
    model: Any = build_model(config, spec)
    return model, nn.unbox(jax.jit(lambda key: init_params(model, key))(jax.random.key(0)))


def sizes(config: ModelConfig, spec: DataSpec) -> dict[str, int]:
    """Number of parameters by the name of the part; takes no memory."""
    model = build_model(config, spec)
    params = nn.unbox(jax.eval_shape(functools.partial(init_params, model), jax.random.key(0)))
    count = lambda tree: sum(math.prod(x.shape) for x in jax.tree.leaves(tree))
    return {name: count(part) for name, part in params.items()}


def bert(layers: int, dim: int) -> BERTConfig:
    return BERTConfig(layers, dim, dim // 64, 4 * dim, 512)


@pytest.mark.parametrize(("layers", "dim", "number"), [(12, 768, 109482240), (24, 1024, 335141888)])
def test_bert_has_its_published_size(layers: int, dim: int, number: int) -> None:
    """With the pooler and without a head: 110M and 340M in the paper."""
    found = sizes(bert(layers, dim), classes(TokenInput(30522), 2))
    assert sum(found.values()) - found["head"] == number


@pytest.mark.parametrize(
    ("patch", "layers", "dim", "heads", "number"),
    [
        (16, 12, 192, 3, 5717416),
        (16, 12, 384, 6, 22050664),
        (16, 12, 768, 12, 86567656),
        (16, 24, 1024, 16, 304326632),
    ],
)
def test_vit_has_its_published_size(
    patch: int, layers: int, dim: int, heads: int, number: int
) -> None:
    """At 224 x 224 with 1000 classes, as timm counts them."""
    config = ViTConfig(patch, layers, dim, heads, 4 * dim)
    assert sum(sizes(config, classes(ImageInput(224, 224, 3), 1000)).values()) == number


@pytest.mark.parametrize(
    ("dim", "heads", "mlp_dim", "number", "published"),
    [(512, 8, 2048, 63_082_496, 65e6), (1024, 16, 4096, 214_245_376, 213e6)],
)
def test_transformer_has_its_published_size(
    dim: int, heads: int, mlp_dim: int, number: int, published: float
) -> None:
    """6 + 6 layers, 37,000 tokens for both languages in one table; the paper has 65M and 213M."""
    attention = 4 * dim * (dim + 1)
    feedforward = 2 * dim * mlp_dim + mlp_dim + dim
    encoder, decoder = attention + feedforward + 4 * dim, 2 * attention + feedforward + 6 * dim
    by_formula = 6 * (encoder + decoder) + 37_000 * dim
    spec = DataSpec(TokenInput(37_000), VocabOutput(37_000), TokenInput(37_000))
    found = sum(sizes(TransformerConfig(6, 6, dim, heads, mlp_dim), spec).values())
    assert found == by_formula == number
    assert abs(found / published - 1) < 0.03


def test_token_types_and_the_first_token_reach_the_class() -> None:
    model, params = start(
        BERTConfig(num_layers=1, max_length=T, **SMALL), classes(TokenInput(V), 3)
    )

    @jax.jit
    def run(types: jax.Array) -> jax.Array:
        return model.apply({"params": params}, TOKENS, token_types=types, train=False)[0]

    zeros = jnp.zeros((B, T), jnp.int32)
    features = run(zeros)
    assert features.shape == (B, D)
    assert (run(zeros.at[0, 3].set(1))[0] != features[0]).all()
    np.testing.assert_array_equal(run(zeros.at[0, 3].set(1))[1], features[1])
    assert np.isnan(run(zeros.at[0, 3].set(2))[0]).all(), "there are two types"


def test_the_class_is_read_off_the_first_token() -> None:
    """Without a layer in between, only the first token that is not padding moves it."""
    config = BERTConfig(num_layers=1, max_length=T, **SMALL)
    model, params = start(config, classes(TokenInput(V), 3))
    attention = params["stack"]["blocks"]["attention"]["out"]
    attention["kernel"] = jnp.zeros_like(attention["kernel"])  # so that no token sees another
    ids = jnp.array([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]])

    @jax.jit
    def run(tokens: jax.Array) -> jax.Array:
        return model.apply({"params": params}, tokens, segment_ids=ids, train=False)[0]

    before = run(TOKENS)
    for row, first in ((0, 0), (1, 2)):
        for place in range(T):
            after = run(TOKENS.at[row, place].set(10))
            assert (after[row] != before[row]).any() == (place == first)


def test_the_next_sentence_head_is_there_where_it_is_asked_for() -> None:
    plain = BERTConfig(num_layers=1, max_length=T, **SMALL)
    asked = BERTConfig(num_layers=1, max_length=T, next_sentence=True, **SMALL)
    assert set(sizes(asked, LANGUAGE)) - set(sizes(plain, LANGUAGE)) == {
        "pooler",
        "next_sentence_head",
    }
    model, params = start(asked, LANGUAGE)
    variables = {"params": params}
    features, _ = jax.jit(functools.partial(model.apply, train=False))(variables, TOKENS)
    read = jax.jit(functools.partial(model.apply, method="next_sentence_logits"))
    logits = read(variables, features)
    assert logits.shape == (B, 2) and logits.dtype == jnp.float32
    other = np.array(features)
    other[:, 1:] += 1.0
    np.testing.assert_array_equal(read(variables, other), logits)


def test_vit_refuses_what_patches_do_not_fill_and_other_sizes() -> None:
    config = ViTConfig(num_layers=1, patch_size=5, **SMALL)
    with pytest.raises(ValueError, match="5 x 5 pixels do not fill an image of 8 x 12"):
        sizes(config, classes(ImageInput(8, 12, 3), 4))
    config = ViTConfig(num_layers=1, patch_size=4, **SMALL)
    model, params = start(config, classes(ImageInput(8, 12, 3), 4))
    with pytest.raises(ValueError, match="12 x 8 x 3"):
        model.apply({"params": params}, jnp.zeros((B, 12, 8, 3)), train=False)


def test_vit_without_class_token_has_one_position_and_one_parameter_less() -> None:
    with_token = ViTConfig(num_layers=1, patch_size=4, **SMALL)
    mean = ViTConfig(num_layers=1, patch_size=4, pooling=ImagePooling.MEAN, **SMALL)
    spec = classes(ImageInput(8, 12, 3), 4)
    assert sum(sizes(with_token, spec).values()) - sum(sizes(mean, spec).values()) == 2 * D


def test_transformer_starts_xavier_uniform_part_by_part() -> None:
    config = TransformerConfig(1, 3, 48, 4, 96, tie_embeddings=EmbeddingTying.NONE)
    _, params = start(config, TRANSLATION)
    block = params["decoder"]["blocks"]
    bound = lambda fan_in, fan_out: math.sqrt(6 / (fan_in + fan_out))
    wanted = [
        (block["attention"]["qkv"]["kernel"], bound(48, 3 * 48)),
        (block["cross_attention"]["query"]["kernel"], bound(48, 48)),
        (block["feedforward"]["wide"]["kernel"], bound(48, 96)),
        (block["feedforward"]["out"]["kernel"], bound(96, 48)),
        (params["memory_key_value"]["kernel"], bound(48, 2 * 48)),
    ]
    for kernel, most in wanted:
        assert 0.98 * most < np.abs(kernel).max() <= most
    assert abs(np.std(params["embedding"]["table"]) * math.sqrt(48) - 1) < 0.2


@pytest.mark.parametrize("position", Position)
def test_the_order_of_the_source_matters_where_there_are_positions(position: Position) -> None:
    small: dict[str, Any] = {**SMALL, "num_heads": 2}
    config = TransformerConfig(1, 1, max_length=T, position=position, **small)
    model, params = start(config, TRANSLATION)

    @jax.jit
    def run(source: jax.Array) -> jax.Array:
        memory = model.apply({"params": params}, source, train=False, method="encode")
        return model.apply({"params": params}, TOKENS, memory=memory, train=False)[0]

    turned = run(TOKENS[:, jnp.array([1, 0, 2, 3, 4])])
    if position is Position.NONE:
        np.testing.assert_allclose(turned, run(TOKENS), **TOLERANCE["chunking"])
    else:
        assert np.abs(turned - run(TOKENS)).max() > TOLERANCE["decoding"]["atol"]


def test_transformer_needs_a_source_a_memory_and_one_vocabulary_for_one_table() -> None:
    config = TransformerConfig(1, 1, max_length=T, **SMALL)
    with pytest.raises(ValueError, match="its data must have a source"):
        sizes(config, LANGUAGE)
    with pytest.raises(ValueError, match="one vocabulary on both sides"):
        sizes(config, DataSpec(TokenInput(V), VocabOutput(V), TokenInput(V + 1)))
    model, params = start(config, TRANSLATION)
    with pytest.raises(ValueError, match="encode the source first"):
        model.apply({"params": params}, TOKENS, train=False)
    with pytest.raises(ValueError, match="encode the source first"):
        model.apply({"params": params}, B, T, method="initial_carry")


def test_a_step_computes_nothing_of_the_source() -> None:
    """The carry holds the memory's keys and values, which a step neither changes nor computes."""
    model, params = start(TransformerConfig(1, 2, max_length=T, **SMALL), TRANSLATION)
    variables = {"params": params}

    @jax.jit
    def begin(variables: Any) -> Any:
        memory = model.apply(variables, TOKENS, train=False, method="encode")
        return memory, model.apply(variables, B, T, memory, method="initial_carry")

    memory, carry = begin(variables)
    without = {k: v for k, v in params.items() if k not in ("encoder", "memory_key_value")}
    step = jax.jit(functools.partial(model.apply, train=False))
    features, after = step({"params": without}, TOKENS[:, :1], carry)
    assert features.shape == (B, 1, D)
    jax.tree.map(np.testing.assert_array_equal, after["memory"], memory)
