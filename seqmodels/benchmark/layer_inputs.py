"""Inputs of single layers, which every implementation makes for itself. Imports no jax."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqmodels.benchmark.arrays import NUM_SETS, draw, draw_weight

GATES = {"rnn": 1, "lstm": 4, "gru": 3}
"""Kernels that a cell packs along the last axis."""


def recurrent_inputs(params: dict[str, Any], seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Sets of (cotangent of y [B, T, N], x [B, T, D])."""
    b, t, d, n = params["shape"]
    return [
        (draw(f"cotangent {k}", (b, t, n), seed), draw(f"x {k}", (b, t, d), seed))
        for k in range(NUM_SETS)
    ]


def packed_weights(kind: str, d: int, n: int, seed: int) -> dict[str, np.ndarray]:
    """Weights of a cell in our layout: gates packed along the last axis."""
    width = GATES[kind] * n
    shapes: dict[str, tuple[int, ...]] = {
        "kernel": (d, width),
        "recurrent_kernel": (n, width),
        "bias": (width,),
    }
    if kind == "gru":
        shapes["recurrent_bias"] = (n,)
    return {name: draw_weight(name, shape, seed) for name, shape in shapes.items()}


def attention_inputs(params: dict[str, Any], seed: int) -> list[tuple[np.ndarray, ...]]:
    """Sets of (cotangent, q, k, v), each [B, H, T, K]."""
    b, t, h, k = params["shape"]
    names = ("cotangent", "q", "k", "v")
    return [
        tuple(draw(f"{name} {n}", (b, h, t, k), seed) for name in names) for n in range(NUM_SETS)
    ]


def segments_of(params: dict[str, Any]) -> np.ndarray | None:
    """Documents of equal length along each row, [B, T]; None without packing."""
    b, t, _, _ = params["shape"]
    if not params.get("documents"):
        return None
    return np.broadcast_to(1 + np.arange(t) * params["documents"] // t, (b, t)).astype(np.int32)


def positions_of(params: dict[str, Any]) -> np.ndarray:
    """Positions of the tokens in their documents, [B, T]."""
    b, t, _, _ = params["shape"]
    each = t // (params.get("documents") or 1)
    return np.broadcast_to(np.arange(t) % each, (b, t)).astype(np.int32)


def visible(params: dict[str, Any]) -> np.ndarray:
    """Whether a query may look at a key, [T, T], the same for every row."""
    _, t, _, _ = params["shape"]
    at = np.arange(t)
    mask = at[:, None] >= at[None]
    if params.get("window"):
        mask &= at[:, None] - at[None] < params["window"]
    segments = segments_of(params)
    if segments is not None:
        mask &= segments[0][:, None] == segments[0][None]
    return mask


def attention_flops(params: dict[str, Any]) -> int:
    """Operations that causal attention needs: 4 K for each pair of a query and a key that it sees
    (T^2 / 2 pairs without window and documents), three times that with a gradient."""
    b, t, h, k = params["shape"]
    pairs = t * t / 2
    if params.get("documents"):
        pairs /= params["documents"]
    if params.get("window"):
        pairs = min(pairs, t * params["window"])
    return round(4 * b * h * k * pairs * (3 if params["gradient"] else 1))
