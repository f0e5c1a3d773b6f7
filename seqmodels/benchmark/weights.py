"""Weights and optimizer of whole models, the same in every implementation. Imports no jax."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqmodels.benchmark.arrays import draw_weight

MODEL_SCALE = 0.02
"""Deviation of the weights of whole models."""
OPTIMIZER: dict[str, Any] = {
    "peak_lr": 1e-3,
    "beta1": 0.9,
    "beta2": 0.95,
    "epsilon": 1e-8,
    "weight_decay": 0.1,
    "clip_norm": 1.0,
}
"""Of AdamW at a constant rate, with decay of the kernels alone."""


def weight(path: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """A parameter by its path in our tree."""
    return draw_weight(path, shape, seed, MODEL_SCALE)
