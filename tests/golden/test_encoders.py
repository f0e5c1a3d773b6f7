"""BERT, ViT and the encoder-decoder Transformer against `transformers` and PyTorch."""

from __future__ import annotations

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.transformers import (
    BERTConfig,
    EmbeddingTying,
    NormPlacement,
    TransformerConfig,
    ViTConfig,
)
from seqmodels.models.build import build_model
from seqmodels.ops.losses import softmax_cross_entropy
from seqmodels.types import ClassOutput, DataSpec, ImageInput, TokenInput, VocabOutput
from tests.golden.encoders import bert_params, transformer_params, vit_params
from tests.peers.compare import assert_gradients_match
from tests.tolerances import TOLERANCE

V, L = 11, 2
SIZES: dict[str, Any] = {"model_dim": 12, "num_heads": 3, "mlp_dim": 20}
HERE = pathlib.Path(__file__).parent
Arrays = dict[str, np.ndarray]


def load(name: str) -> tuple[Arrays, Arrays, Arrays]:
    """All stored arrays, the parameters, and their gradients."""
    with np.load(HERE / name) as stored:
        golden = dict(stored)
    part = lambda kind: {k[len(kind) :]: v for k, v in golden.items() if k.startswith(kind)}
    return golden, part("param/"), part("grad/")


def mean_over(real: np.ndarray, logits: jax.Array, targets: np.ndarray) -> jax.Array:
    losses = softmax_cross_entropy(logits, jnp.asarray(targets))
    return jnp.sum(losses * (real > 0)) / real.sum()


def check(loss: Any, params: Any, gradients: Any, golden: Arrays, logits: np.ndarray) -> None:
    (value, got), by_params = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
    np.testing.assert_allclose(value, golden["loss"], **TOLERANCE["reference"])
    real = golden["real"] > 0 if "real" in golden else np.ones(len(logits), bool)
    np.testing.assert_allclose(got[real], logits[real], **TOLERANCE["reference"])
    assert_gradients_match(by_params, gradients)


def test_bert_equals_transformers() -> None:
    golden, params, gradients = load("hf_bert.npz")
    config = BERTConfig(num_layers=L, max_length=7, next_sentence=True, **SIZES)
    model: Any = build_model(config, DataSpec(TokenInput(V), VocabOutput(V)))
    tokens, real, types = (jnp.asarray(golden[x]) for x in ("tokens", "real", "types"))

    def loss(params: Any) -> Any:
        variables = {"params": params}
        features, _ = model.apply(
            variables, tokens, segment_ids=real, token_types=types, train=False
        )
        logits = model.apply(variables, features, method="readout")
        follows = model.apply(variables, features, method="next_sentence_logits")
        total = mean_over(golden["real"], logits, golden["targets"])
        total += softmax_cross_entropy(follows, jnp.asarray(golden["follows"])).mean()
        return total, logits

    convert = lambda p: bert_params(p, L, 3)
    check(loss, convert(params), convert(gradients), golden, golden["logits"])


def test_vit_equals_transformers() -> None:
    golden, params, gradients = load("hf_vit.npz")
    spec = DataSpec(ImageInput(8, 12, 3), ClassOutput(5, per_step=False))
    config = ViTConfig(num_layers=L, patch_size=4, norm_epsilon=1e-12, **SIZES)
    model: Any = build_model(config, spec)
    images = jnp.transpose(jnp.asarray(golden["images"]), (0, 2, 3, 1))

    def loss(params: Any) -> Any:
        features, _ = model.apply({"params": params}, images, train=False)
        logits = model.apply({"params": params}, features, method="readout")
        return softmax_cross_entropy(logits, jnp.asarray(golden["classes"])).mean(), logits

    convert = lambda p: vit_params(p, L, 3)
    check(loss, convert(params), convert(gradients), golden, golden["logits"])


@pytest.mark.parametrize("placement", NormPlacement)
def test_transformer_equals_pytorch(placement: NormPlacement) -> None:
    golden, params, gradients = load(f"torch_transformer_{placement}.npz")
    config = TransformerConfig(
        num_encoder_layers=1,
        num_decoder_layers=L,
        model_dim=8,
        num_heads=2,
        mlp_dim=10,
        max_length=7,
        norm_placement=placement,
        final_norm=True,
        tie_embeddings=EmbeddingTying.NONE,
    )
    spec = DataSpec(TokenInput(V), VocabOutput(V), TokenInput(V - 2))
    model: Any = build_model(config, spec)
    ids = {name: jnp.asarray(golden[name]) for name in ("source", "source_real", "tokens", "real")}

    def loss(params: Any) -> Any:
        variables = {"params": params}
        memory = model.apply(
            variables, ids["source"], segment_ids=ids["source_real"], train=False, method="encode"
        )
        features, _ = model.apply(
            variables, ids["tokens"], segment_ids=ids["real"], memory=memory, train=False
        )
        logits = model.apply(variables, features, method="readout")
        return mean_over(golden["real"], logits, golden["targets"]), logits

    convert = lambda p: transformer_params(p, (1, L), 2)
    check(loss, convert(params), convert(gradients), golden, golden["logits"])
