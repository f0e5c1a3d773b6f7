"""Encoder-decoder and encoder against torch.nn, run side by side: outputs and gradients."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.models import Activation
from seqmodels.config.transformers import EmbeddingTying, NormPlacement, TransformerConfig
from seqmodels.layers.attention import AttentionContext
from seqmodels.layers.blocks import TransformerStack
from seqmodels.models.build import build_model
from seqmodels.ops.masks import Positions
from seqmodels.types import DataSpec, TokenInput, VocabOutput
from tests.golden.encoders import below, norm, stacked, torch_block, transformer_params
from tests.peers.compare import assert_gradients_match, assert_outputs_match

torch = pytest.importorskip("torch", reason="make test-peers installs it")
pytest.importorskip("transformers", reason="make test-peers installs it")
make_encoders = pytest.importorskip("tests.golden.make_encoders")
pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor:UserWarning")
V, D, H, F, L = make_encoders.V, make_encoders.WIDE, 2, 10, 2


def arrays(module: Any) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Parameters and their gradients."""
    named = dict(module.named_parameters())
    return (
        {k: v.detach().numpy() for k, v in named.items()},
        {k: v.grad.numpy() for k, v in named.items()},
    )


def padding(rng: np.random.Generator, length: int) -> np.ndarray:
    """Two rows of ones, with zeros at their ends."""
    return (np.arange(length) < rng.integers(1, length + 1, (2, 1))).astype(np.int32)


@pytest.mark.parametrize("placement", NormPlacement)
@pytest.mark.parametrize("seed", range(2))
def test_encoder_decoder_equals_torch(placement: NormPlacement, seed: int) -> None:
    rng, length = np.random.default_rng(seed), make_encoders.T
    torch.manual_seed(seed)
    theirs = make_encoders.Translator(norm_first=placement is NormPlacement.PRE)
    make_encoders.spread(theirs)
    source, source_real = rng.integers(0, V - 2, (2, 5)).astype(np.int32), padding(rng, 5)
    tokens, real = rng.integers(0, V, (2, length)).astype(np.int32), padding(rng, length)
    weights = rng.normal(size=(2, length, V)).astype(np.float32) * real[..., None]
    wanted = theirs(*(torch.tensor(x).long() for x in (source, tokens, source_real, real)))
    (wanted * torch.tensor(weights)).sum().backward()
    params, gradients = (transformer_params(x, (1, L), H) for x in arrays(theirs))
    config = TransformerConfig(
        1,
        L,
        D,
        H,
        F,
        length,
        norm_placement=placement,
        final_norm=True,
        tie_embeddings=EmbeddingTying.NONE,
    )
    model: Any = build_model(config, DataSpec(TokenInput(V), VocabOutput(V), TokenInput(V - 2)))

    def total(params: Any) -> tuple[jax.Array, jax.Array]:
        variables, ids = {"params": params}, jnp.asarray(source_real)
        memory = model.apply(
            variables, jnp.asarray(source), segment_ids=ids, train=False, method="encode"
        )
        features, _ = model.apply(
            variables,
            jnp.asarray(tokens),
            segment_ids=jnp.asarray(real),
            memory=memory,
            train=False,
        )
        logits = model.apply(variables, features, method="readout")
        return jnp.sum(logits * weights), logits

    got, logits = jax.jit(jax.grad(total, has_aux=True))(params)
    mask = real[..., None]
    assert_outputs_match(np.asarray(logits) * mask, wanted.detach().numpy() * mask)
    assert_gradients_match(got, gradients)


@pytest.mark.parametrize("placement", NormPlacement)
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_encoder_equals_torch(placement: NormPlacement, activation: str) -> None:
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    pre = placement is NormPlacement.PRE
    layer = torch.nn.TransformerEncoderLayer(
        D, H, F, 0.0, activation, batch_first=True, norm_first=pre
    )
    theirs = torch.nn.TransformerEncoder(layer, L, torch.nn.LayerNorm(D) if pre else None)
    make_encoders.spread(theirs)
    x, real = rng.normal(size=(2, 6, D)).astype(np.float32), padding(rng, 6)
    weights = rng.normal(size=x.shape).astype(np.float32) * real[..., None]
    inputs = torch.tensor(x, requires_grad=True)
    wanted = theirs(inputs, src_key_padding_mask=torch.tensor(real == 0))
    (wanted * torch.tensor(weights)).sum().backward()

    def convert(p: dict[str, np.ndarray]) -> dict[str, Any]:
        blocks = stacked([torch_block(below(p, f"layers.{n}"), H) for n in range(L)])
        final = {"final_norm": norm(lambda name: p[name], "norm")} if pre else {}
        return {"blocks": blocks, **final}

    params, gradients = (convert(part) for part in arrays(theirs))
    block = {
        "num_heads": H,
        "mlp_dim": F,
        "causal": False,
        "norm_placement": placement,
        "activation": Activation.RELU if activation == "relu" else Activation.GELU_EXACT,
        "use_bias": True,
    }
    stack: Any = TransformerStack(L, block, final_norm=pre)
    context = AttentionContext(Positions(jnp.zeros((1, 6), jnp.int32), jnp.asarray(real)))

    def total(params: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        y, _ = stack.apply({"params": params}, x, None, context, train=False)
        return jnp.sum(y * weights), y

    call = jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))
    (by_params, by_x), y = call(params, jnp.asarray(x))
    mask = real[..., None]
    assert_outputs_match(np.asarray(y) * mask, wanted.detach().numpy() * mask)
    assert_gradients_match(by_params, gradients)
    assert inputs.grad is not None
    assert_gradients_match(by_x, inputs.grad.numpy())
