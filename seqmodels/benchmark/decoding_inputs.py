"""Prompts, which every implementation makes for itself. Imports no jax."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqmodels.benchmark.arrays import NUM_SETS, draw_tokens


def prompts_of(params: dict[str, Any], seed: int) -> list[np.ndarray]:
    """Sets of prompts [B, T]."""
    shape = (params["batch"], params["prompt"])
    return [draw_tokens(f"prompt {n}", shape, seed, params["vocab"]) for n in range(NUM_SETS)]
