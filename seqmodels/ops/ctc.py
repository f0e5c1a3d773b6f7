"""The loss of transcripts without alignments: connectionist temporal classification."""

from __future__ import annotations

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Integer


def ctc_loss(
    logits: Float[Array, "B T C"],
    valid: Bool[Array, "B T"],
    targets: Integer[Array, "B U"],
    target_valid: Bool[Array, "B U"],
) -> Float[Array, " B"]:
    """Nats of each transcript, summed over its alignments.

        loss_b = - log sum_a prod_t p(a_t | x_b),    a: alignments whose collapse is the target

    An alignment has a symbol or a blank for each frame; collapsing it merges equal neighbours and
    then removes blanks. The blank is the last class, C - 1. optax computes the sum, in which
    rounding and its stand-in for log 0 lead to losses a little below 0; these become 0, without a
    gradient. A target without an alignment gets a large number instead of infinity.

    Args:
      logits: of each frame.
      valid: whether a frame is none of the padding, which comes last and may hold anything.
      targets: symbols, less than C - 1.
      target_valid: the same of the targets.

    Source: Graves et al., 2006, "Connectionist temporal classification".
    """
    logits = jnp.where(valid[..., None], logits.astype(jnp.float32), 0.0)
    nats = optax.ctc_loss(
        logits,
        1.0 - valid,
        jnp.where(target_valid, targets, 0),
        1.0 - target_valid,
        blank_id=logits.shape[-1] - 1,
    )
    return jnp.maximum(nats, 0.0)
