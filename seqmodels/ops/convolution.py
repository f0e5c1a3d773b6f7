"""Causal convolutions over a chunk, and convolutions over whole documents.

Both count tokens only, so padding in the middle of a document must not count as a step: `compact`
moves it to the end.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int


class Compaction(NamedTuple):
    """A permutation that moves the padding of a chunk to the end, and its inverse.

    Attributes:
      order: [B, T], index in the chunk of the n-th token of the compacted row.
      place: [B, T], index in the compacted row of each token of the chunk.
      valid: [B, T], False at padding, in the order of the chunk.
      count: [B], number of tokens.
    """

    order: Int[Array, "B T"]
    place: Int[Array, "B T"]
    valid: Bool[Array, "B T"]
    count: Int[Array, " B"]

    def pack(self, x: Array) -> Array:
        """[B, T, ...] with the tokens first."""
        return _take(x, self.order)

    def unpack(self, y: Array) -> Array:
        """[B, T, ...] with the tokens back in their order, and 0 at padding."""
        back = _take(y, self.place)
        return jnp.where(self.valid.reshape(*self.valid.shape, *[1] * (y.ndim - 2)), back, 0)


def _take(x: Array, index: Int[Array, "B T"]) -> Array:
    return jnp.take_along_axis(x, index.reshape(*index.shape, *[1] * (x.ndim - 2)), axis=1)


def compact(valid: Bool[Array, "B T"]) -> Compaction:
    """Moves padding to the end of a chunk and keeps the order of the tokens."""
    order = jnp.argsort(~valid, axis=1, stable=True)
    place = jnp.maximum(jnp.cumsum(valid, axis=1) - 1, 0)
    return Compaction(order, place, valid, jnp.sum(valid, axis=1))


def history_length(width: int, dilation: int = 1) -> int:
    """Number of tokens before a chunk that a causal convolution reads."""
    return (width - 1) * dilation


def causal_taps(
    x: Float[Array, "B T D"],
    history: Float[Array, "B R D"],
    width: int,
    dilation: int = 1,
    starts: Bool[Array, "B T"] | None = None,
    count: Int[Array, " B"] | None = None,
) -> tuple[list[Float[Array, "B T D"]], Float[Array, "B R D"]]:
    """Inputs of each tap of a causal convolution, the farthest back first.

    Tap w of a token is the token (width - 1 - w) * dilation before it, or 0 where that token
    belongs to another document or does not exist.

    Args:
      x: [B, T, D], tokens first, padding after them.
      history: the R = `history_length` tokens before the chunk; zeros where there were none.
      width: number of taps.
      dilation: steps from one tap to the next.
      starts: where a document starts; None = nowhere.
      count: number of tokens of each row; None = T.

    Returns:
      One [B, T, D] per tap, and the history for the next chunk.
    """
    length, reach = x.shape[1], history.shape[1]
    joined = jnp.concatenate([history.astype(x.dtype), x], axis=1)  # [B, R + T, D]
    back = [(width - 1 - w) * dilation for w in range(width)]
    taps = [joined[:, reach - n : reach - n + length] for n in back]
    index = jnp.arange(length)
    first = None
    if starts is not None:  # index of the newest start, or before the history where there is none
        first = lax.cummax(jnp.where(starts, index[None], -reach), axis=1)
        seen = [(index - n)[None] >= first for n in back]
        taps = [jnp.where(s[..., None], tap, 0.0) for s, tap in zip(seen, taps, strict=True)]
    if count is None:
        kept = joined[:, length:]
        places = jnp.broadcast_to(length - reach + jnp.arange(reach)[None], kept.shape[:2])
    else:
        places = count[:, None] - reach + jnp.arange(reach)[None]
        kept = _take(joined, places + reach)
    if first is not None:
        kept = jnp.where((places >= jnp.max(first, axis=1, keepdims=True))[..., None], kept, 0.0)
    return taps, kept.astype(history.dtype)


def causal_convolution(
    x: Float[Array, "B T D"],
    kernel: Float[Array, "W D F"],
    history: Float[Array, "B R D"],
    dilation: int = 1,
    starts: Bool[Array, "B T"] | None = None,
    count: Int[Array, " B"] | None = None,
) -> tuple[Float[Array, "B T F"], Float[Array, "B R D"]]:
    """y_t = sum_w x_(t - (W - 1 - w) dilation) K_w, as one product of [B T, W D] by [W D, F].

    Arguments as in `causal_taps`. The tap of the token itself is the last in the kernel [W, D, F],
    as in a PyTorch convolution with padding on the left.
    """
    taps, history = causal_taps(x, history, len(kernel), dilation, starts, count)
    return _product(jnp.concatenate(taps, axis=-1), kernel), history


def depthwise_convolution(
    x: Float[Array, "B T D"],
    kernel: Float[Array, "W D"],
    history: Float[Array, "B R D"],
    starts: Bool[Array, "B T"] | None = None,
    count: Int[Array, " B"] | None = None,
) -> tuple[Float[Array, "B T D"], Float[Array, "B R D"]]:
    """y_t = sum_w x_(t - (W - 1 - w)) * k_w, each feature separately; see `causal_convolution`."""
    taps, history = causal_taps(x, history, len(kernel), 1, starts, count)
    y = jnp.zeros_like(x)
    for tap, k in zip(taps, kernel, strict=True):
        y = y + tap * k.astype(x.dtype)[None, None]
    return y, history


def wide_convolution(
    x: Float[Array, "B T D"], kernel: Float[Array, "W D F"]
) -> Float[Array, "B S F"]:
    """All windows with at least one token: y_s = sum_w x_(s - (W - 1 - w)) K_w.

    S = T + W - 1; tokens before the first and after the last are zeros.
    """
    width, length = len(kernel), x.shape[1]
    padded = jnp.pad(x, ((0, 0), (width - 1, width - 1), (0, 0)))
    windows = [padded[:, w : w + length + width - 1] for w in range(width)]
    return _product(jnp.concatenate(windows, axis=-1), kernel)


def _product(
    windows: Float[Array, "B T WD"], kernel: Float[Array, "W D F"]
) -> Float[Array, "B T F"]:
    flat = kernel.reshape(-1, kernel.shape[-1]).astype(windows.dtype)
    rows = windows.reshape(-1, windows.shape[-1])
    y = jnp.dot(rows, flat, preferred_element_type=windows.dtype)
    return y.reshape(*windows.shape[:-1], -1)
