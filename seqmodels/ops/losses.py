"""Losses, in float32 whatever the dtype of the logits."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Integer


def softmax_cross_entropy(
    logits: Float[Array, "*rows V"], targets: Integer[Array, "*rows"], label_smoothing: float = 0.0
) -> Float[Array, "*rows"]:
    """Negative log-likelihood of each target, in nats.

        loss = log sum exp(logits) - (1 - e) logits[target] - e mean(logits)

    where e = `label_smoothing` is the share of the mass spread evenly over all V classes, the
    target's own included.

    Args:
      logits: [..., V], any float dtype.
      targets: [...], integers in 0..V - 1; others give NaN.
      label_smoothing: e, in [0, 1).

    Returns:
      [...] float32.
    """
    logits = logits.astype(jnp.float32)
    size = logits.shape[-1]
    log_total = jax.nn.logsumexp(logits, axis=-1)
    # A masked sum in place of a gather, whose gradient is a scatter: slow on CPUs.
    classes = lax.broadcasted_iota(targets.dtype, logits.shape, logits.ndim - 1)
    picked = jnp.sum(jnp.where(classes == targets[..., None], logits, 0.0), axis=-1)
    expected = picked
    if label_smoothing:
        expected = (1 - label_smoothing) * picked + label_smoothing * jnp.mean(logits, axis=-1)
    return jnp.where((targets >= 0) & (targets < size), log_total - expected, jnp.nan)
