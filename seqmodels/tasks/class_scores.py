"""Figures of classified examples beyond the accuracy: F1 and calibration, from sums that merge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from seqmodels.ops.losses import most_likely
from seqmodels.types import Metrics

NUM_BINS = 15
"""Of the confidence, all of one width (Guo et al., 2017)."""


def count_outcomes(
    logits: Float[Array, "B C"], targets: Integer[Array, " B"], weights: Float[Array, " B"]
) -> Metrics:
    """Sums over the examples of weight above 0, all arrays.

    Returns:
      found: [C], how many of each class are right, and how many there are; claimed: [C], the same,
      and how often the class is predicted; confident: [bins], the summed probability of what is
      predicted, and the number of examples, by that probability; right: [bins], how many of those
      are right, and their number.
    """
    classes = jnp.arange(logits.shape[-1])
    predicted = most_likely(logits)
    weights = (weights > 0).astype(jnp.float32)
    hits = (predicted == targets) * weights
    one_hot = lambda chosen: (chosen[:, None] == classes[None]).astype(jnp.float32)
    hit = (one_hot(targets) * hits[:, None]).sum(0)
    there = (one_hot(targets) * weights[:, None]).sum(0)
    claimed = (one_hot(predicted) * weights[:, None]).sum(0)
    # A row of padding may hold anything, NaN too: it is selected away, not multiplied.
    confidence = jnp.where(weights > 0, jax.nn.softmax(logits, axis=-1).max(-1), 0.0)
    place = jnp.clip(jnp.ceil(confidence * NUM_BINS) - 1, 0, NUM_BINS - 1)
    bins = (place[:, None] == jnp.arange(NUM_BINS)[None]) * weights[:, None]
    count = bins.sum(0)
    return {
        "found": (hit, there),
        "claimed": (hit, claimed),
        "confident": ((bins * confidence[:, None]).sum(0), count),
        "right": ((bins * hits[:, None]).sum(0), count),
    }


def count_confusions(
    logits: Float[Array, "*rows C"],
    targets: Integer[Array, "*rows"],
    weights: Float[Array, "*rows"],
) -> Float[Array, "C C"]:
    """How often class i (row) was taken for class j (column), where the weight is above 0."""
    one_hot = lambda chosen: jax.nn.one_hot(chosen, logits.shape[-1], dtype=jnp.float32)
    real = (weights > 0).astype(jnp.float32)
    right = one_hot(targets) * real[..., None]
    return jnp.einsum("...i,...j->ij", right, one_hot(most_likely(logits)))


def summarize_outcomes(sums: Mapping[str, tuple[Any, Any]]) -> dict[str, float]:
    """Computes the metrics of a split from the counts of `count_outcomes`.

        F1_c = 2 right_c / (examples of class c + predictions of class c)
        calibration_error = sum_bins n_bin / n |right_bin / n_bin - confidence_bin / n_bin|

    Returns:
      f1: the mean over the classes that occur or are predicted; f1_binary, where there are two
      classes: that of the second one; calibration_error, from 0 to 1 (Guo et al., 2017,
      arXiv:1706.04599).
    """
    hits, there = (np.asarray(x, np.float64) for x in sums["found"])
    claimed = np.asarray(sums["claimed"][1], np.float64)
    confidence, count = (np.asarray(x, np.float64) for x in sums["confident"])
    right = np.asarray(sums["right"][0], np.float64)
    total = there + claimed
    scores = np.where(total > 0, 2 * hits / np.maximum(total, 1), 0.0)
    figures = {"f1": float(scores[total > 0].mean())}
    if len(scores) == 2:
        figures["f1_binary"] = float(scores[1])
    figures["calibration_error"] = float(np.abs(right - confidence).sum() / count.sum())
    return figures


def score_probabilities(
    log_probabilities: Float[np.ndarray, "n C"], labels: Integer[np.ndarray, " n"]
) -> dict[str, float]:
    """Loss (nats an example), accuracy and the figures above, of a baseline."""
    logits, targets = jnp.asarray(log_probabilities, jnp.float32), jnp.asarray(labels)
    sums = jax.device_get(count_outcomes(logits, targets, jnp.ones(len(labels))))
    nats = -log_probabilities[np.arange(len(labels)), labels]
    return {
        "loss": float(nats.mean()),
        "accuracy": float((log_probabilities.argmax(axis=1) == labels).mean()),
        **summarize_outcomes(sums),
    }
