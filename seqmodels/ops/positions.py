"""Position of each token in its document, across cuts, and encodings of positions."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int


class Advance(NamedTuple):
    """Positions of a chunk, and the state that the next chunk needs.

    Attributes:
      positions: [B, T] int32, index of the token in its document; 0 at padding.
      starts: [B, T] bool, True at the first token of a document.
      valid: [B, T] bool, False at padding.
      last_segment: [B] int32, the largest id seen so far, 0 where there was none.
      last_position: [B] int32, position of the newest token, -1 where there was none.
    """

    positions: Int[Array, "B T"]
    starts: Bool[Array, "B T"]
    valid: Bool[Array, "B T"]
    last_segment: Int[Array, " B"]
    last_position: Int[Array, " B"]


def advance(
    segment_ids: Int[Array, "B T"],
    last_segment: Int[Array, " B"],
    last_position: Int[Array, " B"],
) -> Advance:
    """Computes the positions of a chunk from the state after the chunk before.

    Ids grow along the whole row or stream; 0 is padding and may be anywhere. A document starts
    where the id exceeds every id before it. Positions count the tokens of a document, across cuts
    and across padding inside it.

    Args:
      segment_ids: [B, T].
      last_segment: [B], as returned for the chunk before; zeros at first.
      last_position: [B], as returned for the chunk before; -1 at first.
    """
    valid = segment_ids > 0
    largest = lax.cummax(jnp.concatenate([last_segment[:, None], segment_ids], axis=1), axis=1)
    starts = valid & (segment_ids > largest[:, :-1])
    count = jnp.cumsum(valid, axis=1, dtype=jnp.int32)
    first = lax.cummax(jnp.where(starts, count, 0), axis=1)  # count at the newest start, 0 = none
    reached = jnp.where(first > 0, count - first, last_position[:, None] + count)
    newest = jnp.concatenate([last_position[:, None], reached], axis=1)[:, -1]
    return Advance(jnp.where(valid, reached, 0), starts, valid, largest[:, -1], newest)


def continued(last_segment: Int[Array, " B"], length: int) -> Int[Array, "B T"]:
    """Segment ids of a chunk without any: the document continues, or the first one starts."""
    return jnp.tile(jnp.maximum(last_segment, 1)[:, None], (1, length))


class RotaryScaling(NamedTuple):
    """Slower rotary angles, for longer documents than a model was trained on at first.

        rate' = rate / factor                                  # without original_length

    With `original_length` (Llama 3.1), a pair keeps its rate if it turns `high_frequency` times or
    more within that length, and is slowed down if it turns `low_frequency` times or less; between
    them it has a mean of both:

        turns = original_length rate / (2 pi)
        share = clip((turns - low_frequency) / (high_frequency - low_frequency), 0, 1)
        rate' = share rate + (1 - share) rate / factor

    Sources: Chen et al., 2023, arXiv:2306.15595; Grattafiori et al., 2024, arXiv:2407.21783, and
    its published code.
    """

    factor: float
    original_length: int | None = None
    low_frequency: float = 1.0
    high_frequency: float = 4.0


def _rates(
    width: int, base: float = 10000.0, scaling: RotaryScaling | None = None
) -> Float[Array, " half"]:
    """base^(-2 i / width) for each pair i of features, the last of which may be half; scaled."""
    rates = base ** (-2 * jnp.arange((width + 1) // 2, dtype=jnp.float32) / width)
    if scaling is None:
        return rates
    slow = rates / scaling.factor
    if scaling.original_length is None:
        return slow
    low, high = scaling.low_frequency, scaling.high_frequency
    turns = scaling.original_length / (2 * math.pi) * rates
    share = jnp.clip((turns - low) / (high - low), 0.0, 1.0)
    return share * rates + (1 - share) * slow


def _angles(positions: Int[Array, "R T"], rates: Float[Array, " half"]) -> Float[Array, "R T half"]:
    """position * rate, float32."""
    return positions.astype(jnp.float32)[..., None] * rates[None, None, :]


def sinusoidal(positions: Int[Array, "R T"], model_dim: int) -> Float[Array, "R T D"]:
    """Sines in the even features, cosines in the odd ones (Vaswani et al., 2017, arXiv:1706.03762).

    p[2i] = sin(position / 10000^(2i / D)),   p[2i + 1] = cos(position / 10000^(2i / D))
    """
    angles = _angles(positions, _rates(model_dim))
    waves = jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1)
    return waves.reshape(*positions.shape, -1)[..., :model_dim]


def rotary(
    x: Float[Array, "B H T K"],
    positions: Int[Array, "R T"],
    base: float = 10000.0,
    scaling: RotaryScaling | None = None,
) -> Float[Array, "B H T K"]:
    """Turns pairs of features by an angle proportional to the position.

        angle[i] = position / base^(2i / K),   i = 0 .. K/2 - 1

    Source: Su et al., 2021, arXiv:2104.09864.

    Feature i is paired with feature i + K/2 (the GPT-NeoX order). Computed in float32.

    Args:
      x: queries or keys [B, H, T, K], K even.
      positions: [B, T], or [1, T] where all rows are equal.
      base: the larger it is, the slower the slowest pairs turn.
      scaling: slows pairs down; None = as above.
    """
    rates = _rates(x.shape[-1], base, scaling)
    angles = _angles(positions, rates)[:, None]  # [R, 1, T, K/2]
    sine, cosine = jnp.sin(angles), jnp.cos(angles)
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    turned = [first * cosine - second * sine, second * cosine + first * sine]
    return jnp.concatenate(turned, axis=-1).astype(x.dtype)


def alibi_slopes(num_heads: int) -> Float[np.ndarray, " H"]:
    """Penalty per token of distance for each head: 2^(-8 h / H) for h = 1 .. H.

    Source: Press et al., 2022, arXiv:2108.12409. Where H is not a power of two, the slopes are
    those of the largest power n below it, followed by every other one of those of 2n, as in the
    authors' code.
    """
    power = 2 ** int(math.log2(num_heads))
    slopes = lambda n: 2.0 ** (-8.0 * np.arange(1, n + 1) / n)
    joined = np.concatenate([slopes(power), slopes(2 * power)[::2]])
    return joined[:num_heads].astype(np.float32)
