"""GPT as Llama, Mistral and MPT, and attention alone, against numbers of their libraries."""

from __future__ import annotations

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.models import Activation
from seqmodels.config.transformers import GPTConfig, Norm, Position
from seqmodels.layers.attention import AttentionContext, CrossAttention, SelfAttention
from seqmodels.models.build import build_model
from seqmodels.ops.attention import attention_weights
from seqmodels.ops.losses import softmax_cross_entropy
from seqmodels.ops.masks import Positions
from seqmodels.types import DataSpec, TokenInput, VocabOutput
from tests.peers.compare import assert_gradients_match
from tests.tolerances import TOLERANCE

D, V, L, T = 12, 11, 2, 7
SPEC = DataSpec(TokenInput(V), VocabOutput(V))
HERE = pathlib.Path(__file__).parent
Arrays = dict[str, np.ndarray]


def load(name: str) -> tuple[Arrays, Arrays, Arrays]:
    """All stored arrays, the parameters, and their gradients."""
    with np.load(HERE / name) as stored:
        golden = dict(stored)
    part = lambda kind: {k[len(kind) :]: v for k, v in golden.items() if k.startswith(kind)}
    return golden, part("param/"), part("grad/")


def by_group(q: np.ndarray, k: np.ndarray, v: np.ndarray, groups: int, size: int) -> np.ndarray:
    """Joins weights [width, D] to [D, G, H/G + 2, K]: queries, key and value of each group."""
    parts = [x.reshape(groups, -1, size, x.shape[-1]) for x in (q, k, v)]
    return np.moveaxis(np.concatenate(parts, axis=1), -1, 0)


def stack(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    return jax.tree.map(lambda *x: np.stack(x), *blocks)


def llama_params(p: Arrays, groups: int) -> dict[str, Any]:
    def block(n: int) -> dict[str, Any]:
        w = lambda name: p[f"model.layers.{n}.{name}.weight"]
        attention = [w(f"self_attn.{x}_proj") for x in "qkv"]
        wide = np.stack([w("mlp.gate_proj").T, w("mlp.up_proj").T], axis=1)
        return {
            "attention": {
                "qkv": {"kernel": by_group(*attention, groups, 6)},
                "out": {"kernel": w("self_attn.o_proj").T},
            },
            "attention_norm": {"scale": w("input_layernorm")},
            "feedforward": {"wide": {"kernel": wide}, "out": {"kernel": w("mlp.down_proj").T}},
            "feedforward_norm": {"scale": w("post_attention_layernorm")},
        }

    return {
        "embedding": {"table": p["model.embed_tokens.weight"]},
        "stack": {
            "blocks": stack([block(n) for n in range(L)]),
            "final_norm": {"scale": p["model.norm.weight"]},
        },
        "head": {"Dense_0": {"kernel": p["lm_head.weight"].T}},
    }


def mpt_params(p: Arrays, groups: int) -> dict[str, Any]:
    def block(n: int) -> dict[str, Any]:
        w = lambda name: p[f"transformer.blocks.{n}.{name}.weight"]
        return {
            "attention": {
                "qkv": {"kernel": by_group(*np.split(w("attn.Wqkv"), 3), groups, D // groups)},
                "out": {"kernel": w("attn.out_proj").T},
            },
            "attention_norm": {"scale": w("norm_1")},
            "feedforward": {
                "wide": {"kernel": w("ffn.up_proj").T},
                "out": {"kernel": w("ffn.down_proj").T},
            },
            "feedforward_norm": {"scale": w("norm_2")},
        }

    return {
        "embedding": {"table": p["transformer.wte.weight"]},
        "stack": {
            "blocks": stack([block(n) for n in range(L)]),
            "final_norm": {"scale": p["transformer.norm_f.weight"]},
        },
    }


ROTATING: dict[str, Any] = {
    "num_heads": 4,
    "head_dim": 6,
    "mlp_dim": 20,
    "norm": Norm.RMS,
    "norm_epsilon": 1e-6,
    "position": Position.ROTARY,
    "rotary_base": 500.0,
    "activation": Activation.SWIGLU,
    "tie_embeddings": False,
}
MPT: dict[str, Any] = {
    "num_heads": 3,
    "num_kv_heads": 3,
    "mlp_dim": 48,
    "position": Position.ALIBI,
    "activation": Activation.GELU_EXACT,
}
CASES = {
    "llama": (ROTATING | {"num_kv_heads": 1}, llama_params),
    "mistral": (ROTATING | {"num_kv_heads": 2, "window": 3}, llama_params),
    "mpt": (MPT, mpt_params),
}


@pytest.mark.parametrize("name", CASES)
def test_logits_loss_and_gradients_equal_transformers(name: str) -> None:
    fields, convert = CASES[name]
    golden, params, wanted = load(f"hf_{name}.npz")
    params, wanted = (convert(x, fields["num_kv_heads"]) for x in (params, wanted))
    tokens = jnp.asarray(golden["tokens"])
    config = GPTConfig(num_layers=L, model_dim=D, max_length=T, use_bias=False, **fields)
    model = build_model(config, SPEC)

    def loss(params: Any) -> tuple[jax.Array, jax.Array]:
        features, _ = model.apply({"params": params}, tokens, train=False)
        logits = model.apply({"params": params}, features, method="readout")
        return softmax_cross_entropy(logits, jnp.roll(tokens, -1, 1)).mean(), logits

    (value, logits), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
    np.testing.assert_allclose(logits, golden["logits"], **TOLERANCE["reference"])
    np.testing.assert_allclose(value, golden["loss"], **TOLERANCE["reference"])
    assert jax.tree.structure(gradients) == jax.tree.structure(wanted)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, **TOLERANCE["gradient"]), gradients, wanted
    )


def padded(length: int) -> jax.Array:
    """Segments of two rows, of which the second ends with two tokens of padding."""
    return jnp.ones((2, length), jnp.int32).at[1, -2:].set(0)


def out_params(p: Arrays, name: str) -> dict[str, Any]:
    return {"kernel": p[f"{name}.out_proj.weight"].T, "bias": p[f"{name}.out_proj.bias"]}


def self_params(p: Arrays) -> dict[str, Any]:
    kernel, bias = (
        by_group(*np.split(x, 3), 3, D // 3)
        for x in (p["self.in_proj_weight"], p["self.in_proj_bias"][:, None])
    )
    return {"qkv": {"kernel": kernel, "bias": bias[0]}, "out": out_params(p, "self")}


def check_weights(weights: jax.Array, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(weights, wanted, **TOLERANCE["reference"])
    np.testing.assert_allclose(jnp.sum(weights, -1), 1.0, **TOLERANCE["reference"])


def test_self_attention_equals_pytorch() -> None:
    golden, params, wanted = load("torch_attention.npz")
    params, wanted = self_params(params), self_params(wanted)
    layer = SelfAttention(3, train=False, use_bias=True)
    places = Positions(jnp.arange(T)[None], padded(T))

    def loss(params: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        y, _ = layer.apply({"params": params}, x, None, AttentionContext(places))
        return jnp.sum(y * golden["self/loss_weights"]), y

    run = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))
    (gradients, by_x), y = run(params, golden["x"])
    valid = np.asarray(padded(T)) > 0
    np.testing.assert_allclose(y[valid], golden["self/y"][valid], **TOLERANCE["reference"])
    np.testing.assert_allclose(by_x, golden["self/x_grad"], **TOLERANCE["gradient"])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, **TOLERANCE["gradient"]), gradients, wanted
    )
    qkv = np.einsum("btd,dgpk->pbgtk", golden["x"], params["qkv"]["kernel"])
    q, k, _ = jnp.asarray(qkv + params["qkv"]["bias"].transpose(1, 0, 2)[:, None, :, None])
    weights = attention_weights(q, k, places, causal=True)
    check_weights(weights[0], golden["self/weights"][0])


def test_cross_attention_equals_pytorch() -> None:
    golden, stored, stored_gradients = load("torch_attention.npz")
    layer = CrossAttention(3, train=False, use_bias=True)
    queries = Positions(jnp.arange(T)[None])  # no segments: document 1
    keys = Positions(jnp.arange(golden["memory"].shape[1])[None], padded(golden["memory"].shape[1]))

    def convert(p: Arrays) -> dict[str, Any]:
        """Parameters of the layer, and of keys and values: [D, H, 2, K] and [H, 2, K]."""
        q, k, v = np.split(p["cross.in_proj_weight"].reshape(-1, D // 3, D), 3)
        q_bias, k_bias, v_bias = np.split(p["cross.in_proj_bias"].reshape(-1, D // 3), 3)
        pairs = np.stack([k, v], axis=1).transpose(3, 0, 1, 2)
        return {
            "layer": {
                "query": {"kernel": q.transpose(2, 0, 1), "bias": q_bias},
                "out": out_params(p, "cross"),
            },
            "key_value": {"kernel": pairs, "bias": np.stack([k_bias, v_bias], axis=1)},
        }

    def loss(params: Any, x: jax.Array, memory: jax.Array) -> tuple[jax.Array, jax.Array]:
        pairs = jnp.einsum("bsd,dhpk->pbhsk", memory, params["key_value"]["kernel"])
        pairs += jnp.swapaxes(params["key_value"]["bias"], 0, 1)[:, None, :, None]
        y = layer.apply({"params": params["layer"]}, x, *pairs, queries, keys)
        return jnp.sum(y * golden["cross/loss_weights"]), y

    run = jax.jit(jax.grad(loss, argnums=(0, 1, 2), has_aux=True))
    (gradients, by_x, by_memory), y = run(convert(stored), golden["x"], golden["memory"])
    np.testing.assert_allclose(y, golden["cross/y"], **TOLERANCE["reference"])
    assert_gradients_match(
        (gradients, by_x, by_memory),
        (convert(stored_gradients), golden["cross/x_grad"], golden["cross/memory_grad"]),
    )
