"""Encoder-decoders over images: patches with their places, read as any other source is."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.errors import UserError
from seqmodels.config.models import ImageStem, ModelConfig
from seqmodels.config.recurrent import Context, Seq2SeqConfig
from seqmodels.config.transformers import EmbeddingTying, TransformerConfig, ViTConfig
from seqmodels.layers.patches import ConvolutionalStem, cut_patches, sinusoidal_2d
from seqmodels.layers.source import ImageSteps
from seqmodels.models.build import build_model, check_misfits
from seqmodels.models.initialize import init_params
from seqmodels.types import ClassOutput, DataSpec, ImageInput, TokenInput, VocabOutput
from tests.tolerances import TOLERANCE

B, T, V, D = 2, 5, 11, 14
IMAGE = ImageInput(8, 12, 3)
SPEC = DataSpec(TokenInput(V), VocabOutput(V), IMAGE)
MODELS: dict[str, ModelConfig] = {
    "seq2seq": Seq2SeqConfig(
        model_dim=6, hidden_dim=8, attention_dim=5, context=Context.LUONG, input_feeding=False
    ),
    "convolutional stem": Seq2SeqConfig(
        model_dim=6, hidden_dim=8, attention_dim=5, stem=ImageStem.CONVOLUTIONAL
    ),
    "transformer": TransformerConfig(
        *(1, 1, 12, 3, 10),
        max_length=T,  # fewer than patches: it bounds the target
        dropout_rate=0.0,
        tie_embeddings=EmbeddingTying.TARGET,
    ),
}
DRAW = np.random.default_rng(0)
IMAGES = DRAW.normal(size=(B, 8, 12, 3)).astype(np.float32)
TOKENS = jnp.arange(B * T).reshape(B, T) % V


def test_steps_are_patches_with_their_places() -> None:
    """The last channels of a width that is no multiple of 4 have no waves."""
    layer = ImageSteps(IMAGE, patch_size=4, model_dim=D)
    params = nn.unbox(layer.init(jax.random.key(0), jnp.asarray(IMAGES)))
    found = layer.apply(params, jnp.asarray(IMAGES))
    project = jax.tree.map(np.asarray, params["params"]["patches"]["project"])
    patches = np.asarray(cut_patches(jnp.asarray(IMAGES), 4))
    expected = patches @ project["kernel"] + project["bias"]
    expected[..., :12] += sinusoidal_2d(2, 3, 12)
    np.testing.assert_allclose(found, expected, **TOLERANCE["reference"])
    with pytest.raises(ValueError, match="an image of 12 x 8 x 3 is not one of"):
        layer.apply(params, jnp.zeros((B, 12, 8, 3)))
    with pytest.raises(ValueError, match="no segments"):
        layer.apply(params, jnp.asarray(IMAGES), jnp.ones((B, 6), jnp.int32))


def convolved(x: Any, dense: dict[str, Any], stride: int) -> Any:
    """A convolution of 3 x 3 with its ReLU, pixel by pixel."""
    batch, height, width, _ = x.shape
    kernel = dense["kernel"].reshape(3, 3, x.shape[-1], -1)
    y = np.zeros((batch, height // stride, width // stride, kernel.shape[-1]), np.float64)
    y += dense["bias"]
    for row, column, down, right in np.ndindex(*y.shape[1:3], 3, 3):
        i, j = row * stride + down - 1, column * stride + right - 1
        if 0 <= i < height and 0 <= j < width:
            y[:, row, column] += x[:, i, j] @ kernel[down, right]
    return np.maximum(y, 0)


def test_a_convolutional_stem_is_its_equation() -> None:
    layer = ConvolutionalStem(patch_size=4, model_dim=D)
    params = nn.unbox(layer.init(jax.random.key(0), jnp.asarray(IMAGES)))
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda x: rng.normal(0, 0.3, x.shape), params["params"])
    x = IMAGES
    for i, (stride, features) in enumerate([(2, D // 2), (2, D), (1, D)]):
        x = convolved(x, params[f"convolution_{i}"], stride)
        assert x.shape[-1] == features
    expected = x.reshape(B, 6, D) @ params["project"]["kernel"] + params["project"]["bias"]
    found = layer.apply({"params": params}, jnp.asarray(IMAGES))
    np.testing.assert_allclose(found, expected, **TOLERANCE["reference"])


@pytest.mark.parametrize("name", MODELS)
def test_every_patch_is_read_and_a_row_reads_its_own_image(name: str) -> None:
    """Rows are an image, the same with one patch changed, for each patch, and the image again."""
    model: Any = build_model(MODELS[name], SPEC)
    images = np.repeat(IMAGES[:1], 8, axis=0)
    for patch in range(6):
        down, right = 4 * (patch // 3), 4 * (patch % 3)
        images[1 + patch, down : down + 4, right : right + 4] += 1.0

    @jax.jit
    def run(images: Any) -> Any:
        params = {"params": nn.unbox(init_params(model, jax.random.key(1)))}
        memory = model.apply(params, images, train=False, method="encode")
        tokens = jnp.broadcast_to(TOKENS[:1], (len(images), T))
        features, _ = model.apply(params, tokens, memory=memory, train=False)
        return features

    first, *changed, last = np.asarray(run(jnp.asarray(images)))
    np.testing.assert_allclose(last, first, **TOLERANCE["rounding"])
    moved = [float(np.abs(other - first).max()) for other in changed]
    assert len(moved) == 6 and min(moved) > 1e-3, moved


def test_what_does_not_go_with_the_images_is_refused_in_one_line() -> None:
    sides = "must divide the sides of images of 8 x 12 pixels"
    vit = DataSpec(IMAGE, ClassOutput(3, per_step=False))
    for config, spec, line in [
        (Seq2SeqConfig(patch_size=3), SPEC, f"patch_size=3: {sides}"),
        (
            Seq2SeqConfig(stem=ImageStem.CONVOLUTIONAL, patch_size=1),
            SPEC,
            "patch_size=1: must be a power of 2, at least 2, with stem=convolutional",
        ),
        (ViTConfig(patch_size=8), vit, f"patch_size=8: {sides}"),
        (TransformerConfig(), SPEC, "tie_embeddings=all: needs one vocabulary on both sides"),
    ]:
        with pytest.raises(UserError, match=f"--config.model.{line}"):
            check_misfits(config, spec)
    check_misfits(MODELS["transformer"], SPEC)
    check_misfits(
        TransformerConfig(patch_size=5), DataSpec(TokenInput(V), VocabOutput(V), TokenInput(V))
    )
