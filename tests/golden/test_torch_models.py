"""Recurrent and GPT against PyTorch: logits, loss and gradients with its parameters."""

from __future__ import annotations

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.recurrent import RecurrentConfig
from seqmodels.config.transformers import GPTConfig
from seqmodels.models.build import build_model
from seqmodels.ops.losses import softmax_cross_entropy
from seqmodels.types import DataSpec, TokenInput, VocabOutput
from tests.tolerances import TOLERANCE

D, H, N, F, V, L, LENGTH = 12, 3, 7, 20, 11, 2, 7
SPEC = DataSpec(TokenInput(V), VocabOutput(V))
HERE = pathlib.Path(__file__).parent


def lstm_params(p: dict[str, np.ndarray]) -> dict[str, Any]:
    """Parameters in our layout; PyTorch's two biases are added, and have equal gradients."""
    cells = {}
    for n in range(L):
        w = {name: p[f"lstm.{name}_l{n}"] for name in ("weight_ih", "weight_hh")}
        cells[f"cells_{n}"] = {
            "kernel": w["weight_ih"].T,
            "recurrent_kernel": w["weight_hh"].T,
            "bias": p[f"lstm.bias_ih_l{n}"] + p[f"lstm.bias_hh_l{n}"],
        }
    return {
        "embedding": {"table": p["embedding.weight"]},
        "layers": cells,
        "head": {"Dense_0": {"kernel": p["head.weight"].T, "bias": p["head.bias"]}},
    }


def gpt_params(p: dict[str, np.ndarray]) -> dict[str, Any]:
    def stacked(name: str) -> np.ndarray:
        return np.stack([p[f"layers.{n}.{name}"] for n in range(L)])

    def turned(name: str) -> np.ndarray:
        return np.swapaxes(stacked(name), 1, 2)

    def norm(name: str) -> dict[str, Any]:
        return {"scale": stacked(f"{name}.weight"), "bias": stacked(f"{name}.bias")}

    def by_head(x: np.ndarray) -> np.ndarray:
        """Regroups by head; PyTorch puts all queries before all keys."""
        return np.swapaxes(x.reshape(*x.shape[:-1], 3, H, D // H), -3, -2)

    blocks = {
        "attention": {
            "qkv": {
                "kernel": by_head(turned("self_attn.in_proj_weight")),
                "bias": by_head(stacked("self_attn.in_proj_bias")),
            },
            "out": {
                "kernel": turned("self_attn.out_proj.weight"),
                "bias": stacked("self_attn.out_proj.bias"),
            },
        },
        "attention_norm": norm("norm1"),
        "feedforward": {
            "wide": {"kernel": turned("linear1.weight"), "bias": stacked("linear1.bias")},
            "out": {"kernel": turned("linear2.weight"), "bias": stacked("linear2.bias")},
        },
        "feedforward_norm": norm("norm2"),
    }
    final = {"scale": p["norm.weight"], "bias": p["norm.bias"]}
    return {
        "embedding": {"table": p["embedding.weight"]},
        "position_table": {"table": p["positions.weight"]},
        "stack": {"blocks": blocks, "final_norm": final},
    }


CASES = {
    "lstm": (
        RecurrentConfig(num_layers=L, model_dim=D, hidden_dim=N),
        lstm_params,
    ),
    "gpt": (
        GPTConfig(
            num_layers=L, model_dim=D, num_heads=H, mlp_dim=F, max_length=LENGTH, use_bias=True
        ),
        gpt_params,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_logits_loss_and_gradients_equal_pytorch(name: str) -> None:
    config, convert = CASES[name]
    with np.load(HERE / f"torch_{name}.npz") as stored:
        golden = dict(stored)
    part = lambda kind: {k[len(kind) :]: v for k, v in golden.items() if k.startswith(kind)}
    params, wanted = convert(part("param/")), convert(part("grad/"))
    if name == "lstm":
        for cell in wanted["layers"].values():
            cell["bias"] = cell["bias"] / 2  # each of the two biases has the same gradient
    tokens = jnp.asarray(golden["tokens"])
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
