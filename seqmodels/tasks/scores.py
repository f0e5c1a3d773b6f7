"""Loss and accuracy of tokens or classes, as (sum, weight) pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from seqmodels.ops.losses import most_likely, softmax_cross_entropy
from seqmodels.types import Metrics


def score(
    logits: Float[Array, "*rows V"],
    targets: Integer[Array, "*rows"],
    weights: Float[Array, "*rows"],
) -> Metrics:
    """Loss and accuracy over the targets of weight above 0, as (sum, weight) pairs."""
    weight = weights.sum()
    hits = (most_likely(logits) == targets) * weights
    loss = total_loss(logits, targets, weights)
    return {"loss": (loss, weight), "accuracy": (hits.sum(), weight)}


def total_loss(
    logits: Float[Array, "*rows V"],
    targets: Integer[Array, "*rows"],
    weights: Float[Array, "*rows"],
    label_smoothing: float = 0.0,
) -> Float[Array, ""]:
    """Weighted sum of the cross entropies of targets of weight above 0."""
    losses = softmax_cross_entropy(logits, targets, label_smoothing)
    # A padded position may hold anything, NaN too: it is selected away, not multiplied.
    return (jnp.where(weights > 0, losses, 0.0) * weights).sum()


def summarize_tokens(sums: Mapping[str, tuple[Any, Any]]) -> dict[str, float]:
    """loss (nats per target), perplexity, accuracy and num_targets of the sums of `score`."""
    nats, targets = sums["loss"]
    return {
        "loss": nats / targets,
        "perplexity": math.exp(min(nats / targets, 700.0)),
        "accuracy": sums["accuracy"][0] / targets,
        "num_targets": int(targets),
    }
