"""Loss and accuracy of tokens or classes, as (sum, weight) pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Num

from seqmodels.ops.losses import most_likely, softmax_cross_entropy, sum_of_chunks
from seqmodels.protocols import Model
from seqmodels.types import Metrics, Params, VocabOutput

RATES = ("loss", "perplexity", "perplexity_without_unknown", "accuracy")
"""Figures of tokens that do not grow with their number."""

CHUNK = 1 << 25
"""The most logits that exist at a time: 128 MB."""


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


def score_features(
    model: Model,
    params: Params,
    features: Num[Array, "B T *features"],
    targets: Integer[Array, "B T"],
    weights: Float[Array, "B T"],
    label_smoothing: float = 0.0,
    *,
    train: bool,
) -> tuple[Float[Array, ""], Metrics]:
    """The loss, with label smoothing, and `score_tokens`, without it, of the features of a model.

    More logits than `CHUNK` do not exist at the same time on one device. On a mesh they do: each
    chunk would exchange the gradient of the head between devices.
    """

    def scores(features: Array, targets: Array, weights: Array) -> tuple[Array, Metrics]:
        logits = model.apply({"params": params}, features, method="readout")
        metrics = score_tokens(model, logits, targets, weights, train=train)
        if label_smoothing:
            return total_loss(logits, targets, weights, label_smoothing), metrics
        return metrics["loss"][0], metrics

    outputs = model.spec.outputs
    assert isinstance(outputs, VocabOutput)
    num_chunks = min(targets.size, -(-targets.size * outputs.vocab_size // CHUNK))
    if num_chunks == 1 or jax.sharding.get_abstract_mesh().size > 1:
        return scores(features, targets, weights)
    rows = features.reshape(-1, *features.shape[2:])
    others = (targets.reshape(-1), weights.reshape(-1))
    return sum_of_chunks(scores, rows, others, num_chunks)


def score_tokens(
    model: Model,
    logits: Float[Array, "*rows V"],
    targets: Integer[Array, "*rows"],
    weights: Float[Array, "*rows"],
    *,
    train: bool,
) -> Metrics:
    """Adds to `score`, in evaluation, known_loss: that of the targets other than <unk>."""
    metrics = score(logits, targets, weights)
    if train:
        return metrics
    outputs = model.spec.outputs
    assert isinstance(outputs, VocabOutput)
    if outputs.unknown_id is not None:
        known = weights * (targets != outputs.unknown_id)
        metrics["known_loss"] = (total_loss(logits, targets, known), known.sum())
    return metrics


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
    """Figures of the sums of `score_tokens`.

    Returns:
      loss (nats per target), perplexity, accuracy and num_targets; where some of the targets, but
      not all, are <unk>, num_unknown and perplexity_without_unknown, that of the others.
    """
    nats, targets = sums["loss"]
    figures = {
        "loss": nats / targets,
        "perplexity": perplexity(nats / targets),
        "accuracy": sums["accuracy"][0] / targets,
        "num_targets": int(targets),
    }
    nats, known = sums.get("known_loss", (0.0, targets))
    if 0 < known < targets:
        figures["num_unknown"] = int(targets - known)
        figures["perplexity_without_unknown"] = perplexity(nats / known)
    return figures


def perplexity(loss: float) -> float:
    """exp of a loss in nats, within the range of float64."""
    return math.exp(min(loss, 700.0))
