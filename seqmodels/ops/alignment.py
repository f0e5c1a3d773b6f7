"""Attention weights over a source, global or around one position, and reversal of a source."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


def masked_softmax(
    scores: Float[Array, "B T S"], mask: Bool[Array, "B T S"]
) -> Float[Array, "B T S"]:
    """softmax over the positions that the mask allows; exactly 0 elsewhere and in empty rows."""
    # Finite, so that a row of them has finite exponentials, and gradients 0.
    scores = jnp.where(mask, scores, jnp.finfo(scores.dtype).min)
    highest = jax.lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True))
    weights = jnp.where(mask, jnp.exp(scores - highest), 0.0)
    total = jnp.sum(weights, axis=-1, keepdims=True)
    return weights / jnp.where(total > 0, total, 1.0)


def token_positions(mask: Bool[Array, "B T S"]) -> tuple[Int[Array, "B T S"], Int[Array, "B T"]]:
    """Positions, counted from 0 over the tokens that the mask allows, and the number of those."""
    count = jnp.cumsum(mask, axis=-1, dtype=jnp.int32)
    return count - 1, count[..., -1]


def local_weights(
    scores: Float[Array, "B T S"],
    mask: Bool[Array, "B T S"],
    share: Float[Array, "B T"],
    half_width: int,
) -> Float[Array, "B T S"]:
    """Weights around a predicted position ("local-p": Luong et al., 2015, arXiv:1508.04025).

        p   = S_b * share                                      # [B, T]
        a_s = softmax(scores over |s - p| <= D)_s * exp(-(s - p)^2 / (2 sigma^2)),   sigma = D / 2

    S_b is the number of positions that the mask allows: the length of the row without padding. s
    counts those positions from 0. As in the paper, the weights need not add up to 1.

    Args:
      scores: [B, T, S].
      mask: [B, T, S], True = may look.
      share: [B, T], between 0 and 1.
      half_width: D.
    """
    positions, length = token_positions(mask)
    distance = positions - (share * length)[..., None]
    inside = mask & (jnp.abs(distance) <= half_width)
    fade = jnp.exp(-2.0 * jnp.square(distance / half_width))
    return masked_softmax(scores, inside) * jnp.where(inside, fade, 0.0)


def reverse_valid(x: Float[Array, "B S D"], valid: Bool[Array, "B S"]) -> Float[Array, "B S D"]:
    """Reverses the valid positions of each row; padding stays in place.

    The function is its own inverse.
    """
    count = jnp.cumsum(valid, axis=1, dtype=jnp.int32)  # of a valid position: its index, from 1
    order = jnp.argsort(~valid, axis=1, stable=True)  # the valid positions, then the others
    mirrored = jnp.take_along_axis(order, count[:, -1:] - count, axis=1)
    origin = jnp.where(valid, mirrored, jnp.arange(valid.shape[1])[None])
    return jnp.take_along_axis(x, origin[..., None], axis=1)
