"""Attention layers against loops in float64 numpy, token by token and head by head."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.config.models import Activation
from seqmodels.config.transformers import Norm, NormPlacement, Position
from seqmodels.layers.attention import AttentionContext, CrossAttention, Memory, SelfAttention
from seqmodels.layers.blocks import TransformerStack
from seqmodels.layers.positions import PositionTable, add_positions
from seqmodels.ops.attention import contain
from seqmodels.ops.masks import Positions
from tests.tolerances import TOLERANCE

B, T, S, D, H, K, L = 2, 9, 7, 12, 6, 4, 2
SEGMENTS = np.array([[1, 1, 1, 1, 1, 2, 2, 2, 2], [1, 0, 1, 1, 1, 1, 0, 0, 2]])
POSITIONS = np.array([[0, 1, 2, 3, 4, 0, 1, 2, 3], [0, 0, 1, 2, 3, 4, 0, 0, 0]])
SLOPES = [1 / 4, 1 / 16, 1 / 64, 1 / 256, 1 / 2, 1 / 8]  # the paper's rule for 6 heads
X = np.random.default_rng(0).normal(size=(B, T, D)).astype(np.float32)


def turned(x: np.ndarray, position: int, base: float) -> np.ndarray:
    """A vector [K], its pairs (i, i + K/2) rotated as complex numbers by position / base^(2i/K)."""
    half = len(x) // 2
    pairs = (x[:half] + 1j * x[half:]) * np.exp(1j * position / base ** (np.arange(half) / half))
    return np.concatenate([pairs.real, pairs.imag])


def softmax_mean(scores: list[float], values: list[np.ndarray]) -> np.ndarray:
    weights = np.exp(np.array(scores) - max(scores))
    return weights @ np.array(values) / weights.sum()


def naive(params: Any, layer: SelfAttention) -> np.ndarray:
    """The equations of the docstring with loops over groups, nothing vectorised."""
    w, u = (np.asarray(params[name]["kernel"], np.float64) for name in ("qkv", "out"))
    b, c = (np.asarray(params[name]["bias"], np.float64) for name in ("qkv", "out"))
    groups = w.shape[1]
    y = np.zeros((B, T, H, w.shape[-1]))

    def seen(row: int, t: int, s: int) -> bool:
        distance = POSITIONS[row, t] - POSITIONS[row, s]
        near = layer.window is None or distance < layer.window
        same = SEGMENTS[row, t] == SEGMENTS[row, s] > 0
        return same and near and (distance >= 0 or not layer.causal)

    for row, head in np.ndindex(B, H):
        group, own = divmod(head, H // groups)
        q, k, v = (
            np.float64(X[row]) @ w[:, group, place] + b[group, place] for place in (own, -2, -1)
        )
        if layer.position is Position.ROTARY:
            at = POSITIONS[row]
            q, k = ([turned(x[t], at[t], layer.rotary_base) for t in range(T)] for x in (q, k))
        for t in range(T):
            scores, values = [], []
            for s in (s for s in range(T) if seen(row, t, s)):
                distance = abs(POSITIONS[row, t] - POSITIONS[row, s])
                lower = SLOPES[head] * distance if layer.position is Position.ALIBI else 0.0
                scores.append(np.dot(q[t], k[s]) / np.sqrt(len(k[s])) - lower)
                values.append(v[s])
            if values:
                y[row, t, head] = softmax_mean(scores, values)
    return y.reshape(B, T, -1) @ u + c


CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "both ways": {"causal": False},
    "grouped": {"num_kv_heads": 3},
    "multi-query, wide heads": {"num_kv_heads": 1, "head_dim": K},
    "window": {"window": 2},
    "window both ways": {"window": 2, "causal": False},
    "alibi": {"position": Position.ALIBI, "num_kv_heads": 2},
    "alibi both ways": {"position": Position.ALIBI, "causal": False},
    "rotary": {"position": Position.ROTARY, "rotary_base": 300.0, "num_kv_heads": 2, "head_dim": K},
}


def filled(module: nn.Module, *arguments: Any, **keywords: Any) -> Any:
    """Parameters that are all different from zero."""
    init = jax.jit(lambda key: module.init(key, *arguments, **keywords))
    params = nn.unbox(init(jax.random.key(0)))["params"]
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    drawn = [0.5 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, drawn)


@pytest.mark.parametrize("name", CASES)
def test_self_attention_is_its_equations(name: str) -> None:
    layer = SelfAttention(H, train=False, use_bias=True, **CASES[name])
    context = AttentionContext(Positions(jnp.asarray(POSITIONS), jnp.asarray(SEGMENTS)))
    arguments = (jnp.asarray(X), None, context)
    params = filled(layer, *arguments)
    y, cache = jax.jit(layer.apply)({"params": params}, *arguments)
    assert cache is None
    np.testing.assert_allclose(y, naive(params, layer), **TOLERANCE["reference"])


def memory(segments: Any) -> Memory:
    draw = np.random.default_rng(2)
    shape = (B, L, H, S, D // H)
    keys, values = (jnp.asarray(draw.normal(size=shape), jnp.float32) for _ in range(2))
    return Memory(*contain(keys, values), Positions(jnp.arange(S)[None], segments))


SOURCE = jnp.array([[1, 1, 1, 2, 2, 0, 0], [2, 2, 2, 2, 2, 2, 0]])


def test_cross_attention_is_its_equations_and_document_n_looks_at_source_n() -> None:
    """Document 1 of row 1 has no source, so only the bias is left of its output."""
    layer = CrossAttention(H, train=False, use_bias=True)
    held = memory(SOURCE)
    at = Positions(jnp.asarray(POSITIONS), jnp.asarray(SEGMENTS))
    arguments = (jnp.asarray(X), held.keys[:, 1], held.values[:, 1], at, held.positions)
    params = filled(layer, *arguments)
    y = jax.jit(layer.apply)({"params": params}, *arguments)
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), params)
    wanted = np.zeros((B, T, H, D // H))
    for row, head, t in np.ndindex(B, H, T):
        query = X[row, t] @ p["query"]["kernel"][:, head] + p["query"]["bias"][head]
        seen = [s for s in range(S) if SEGMENTS[row, t] == SOURCE[row, s] > 0]
        scores = [query @ held.keys[row, 1, head, s] / np.sqrt(D // H) for s in seen]
        if seen:
            values = [np.float64(held.values[row, 1, head, s]) for s in seen]
            wanted[row, t, head] = softmax_mean(scores, values)
    wanted = wanted.reshape(B, T, D) @ p["out"]["kernel"] + p["out"]["bias"]
    np.testing.assert_allclose(y, wanted, **TOLERANCE["reference"])
    np.testing.assert_allclose(y[1, 2], p["out"]["bias"], **TOLERANCE["reference"])


def norm(x: np.ndarray, p: Any, kind: Norm) -> np.ndarray:
    if kind is Norm.RMS:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-3) * p["scale"]
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-3) * p["scale"] + p["bias"]


@pytest.mark.parametrize("placement", NormPlacement)
@pytest.mark.parametrize("kind", Norm)
def test_a_decoder_block_is_its_three_parts_in_turn(placement: NormPlacement, kind: Norm) -> None:
    block = {
        "num_heads": H,
        "mlp_dim": 20,
        "norm": kind,
        "norm_epsilon": 1e-3,
        "norm_placement": placement,
        "activation": Activation.RELU,
        "use_bias": True,
    }
    stack = TransformerStack(L, block, final_norm=False)
    held = memory(SOURCE)
    context = AttentionContext(
        Positions(jnp.asarray(POSITIONS), jnp.asarray(SEGMENTS)), memory=held
    )
    run = lambda p: stack.apply({"params": p}, jnp.asarray(X), None, context, train=False)
    params = filled(stack, jnp.asarray(X), None, context, train=False)
    got, _ = jax.jit(run)(params)
    looks = jax.jit(SelfAttention(H, train=False, use_bias=True).apply)
    asks = jax.jit(CrossAttention(H, train=False, use_bias=True).apply)

    x = np.float64(X)
    for n in range(L):
        p = jax.tree.map(lambda leaf, n=n: np.asarray(leaf[n], np.float64), params["blocks"])

        def attend(x: np.ndarray, p: Any = p) -> np.ndarray:
            own = {"params": p["attention"]}
            return np.float64(looks(own, np.float32(x), None, context)[0])

        def look_up(x: np.ndarray, p: Any = p, n: int = n) -> np.ndarray:
            own = {"params": p["cross_attention"]}
            pair = np.asarray(held.keys)[:, n], np.asarray(held.values)[:, n]
            return np.float64(asks(own, np.float32(x), *pair, context.queries, held.positions))

        def feed(x: np.ndarray, p: Any = p["feedforward"]) -> np.ndarray:
            wide = np.maximum(x @ p["wide"]["kernel"] + p["wide"]["bias"], 0)
            return wide @ p["out"]["kernel"] + p["out"]["bias"]

        parts = {"attention": attend, "cross_attention": look_up, "feedforward": feed}
        for name, part in parts.items():
            scale = p[f"{name}_norm"]
            if placement is NormPlacement.PRE:
                x = x + part(norm(x, scale, kind))
            else:
                x = norm(x + part(x), scale, kind)
    np.testing.assert_allclose(got, x, **TOLERANCE["chunking"])


def test_positions_are_added_once_and_past_the_table_nothing() -> None:
    table = PositionTable(4, D)
    params = table.init(jax.random.key(0), jnp.array([[0]]))
    look = lambda positions: table.apply(params, positions)
    rows = nn.unbox(params)["params"]["table"]
    got = add_positions(jnp.asarray(X), jnp.asarray(POSITIONS), Position.LEARNED, look)
    past = np.where(POSITIONS < 4, 1.0, 0.0)[..., None]
    wanted = X + np.asarray(rows)[np.minimum(POSITIONS, 3)] * past
    np.testing.assert_allclose(got, wanted, **TOLERANCE["rounding"])
    for kind in (Position.NONE, Position.ROTARY, Position.ALIBI):
        same = add_positions(jnp.asarray(X), jnp.asarray(POSITIONS), kind)
        np.testing.assert_array_equal(same, X)
