"""Sampling of the next token."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from seqmodels.config.errors import UserError

_TINY = float(np.finfo(np.float32).tiny)


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How a token is drawn from its distribution.

    Attributes:
      temperature: divides the logits; 0 selects the most probable token.
      top_k: keep the k most probable tokens; None, or k >= V, keeps all.
      top_p: of those, keep the fewest whose probabilities (renormalised after top_k) add up to p
        (nucleus, Holtzman et al., 2020, arXiv:1904.09751); None keeps all.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        # Written so that NaN is rejected too.
        if not 0 <= self.temperature < float("inf"):
            raise UserError(f"--temperature={self.temperature}: must be 0 (greedy) or more")
        if self.top_k is not None and self.top_k < 1:
            raise UserError(f"--top_k={self.top_k}: must be 1 or more")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise UserError(f"--top_p={self.top_p}: must be above 0 and at most 1")

    @property
    def greedy(self) -> bool:
        return self.temperature == 0

    @property
    def truncates(self) -> bool:
        return not self.greedy and (self.top_k is not None or self.top_p is not None)

    def thresholds(self, vocab_size: int) -> tuple[float, int, float]:
        """Returns temperature, k and p as numbers; they change nothing if they are not set.

        Temperature and its inverse are ones that float32 holds, neither 0 nor infinite.
        """
        top_k = vocab_size if self.top_k is None else min(self.top_k, vocab_size)
        top_p = 1.0 if self.top_p is None else self.top_p
        temperature = float(np.clip(self.temperature, _TINY, 1 / _TINY))
        return 1.0 if self.greedy else temperature, top_k, float(top_p)


def forbid_end(
    logits: Float[Array, "B V"],
    states: Int[Array, " B"],
    index: Int[Array, ""] | int,
    forbidden: tuple[Int[Array, "S V"], Int[Array, ""] | int],
) -> Float[Array, "B V"]:
    """Sets the logits of tokens that would end a text too early to -inf.

    Args:
      logits: of the next token.
      states: state of each text, a row of the table.
      index: of the next token, among the new ones.
      forbidden: a table with -1 where a token ends a text, and the fewest tokens of a text.
    """
    table, least = forbidden
    return jnp.where((table[states] < 0) & (index + 1 < least), -jnp.inf, logits)


def row_keys(key: Key[Array, ""], num_rows: int, index: Int[Array, ""] | int) -> Key[Array, " B"]:
    """Keys for the `index`-th new token of each row; they do not depend on other rows."""
    fold = lambda row: jax.random.fold_in(jax.random.fold_in(key, row), index)
    return jax.vmap(fold)(jnp.arange(num_rows))


def truncate(
    logits: Float[Array, "B V"], top_k: Int[Array, ""] | int, top_p: Float[Array, ""] | float
) -> Float[Array, "B V"]:
    """Sets the logits of all but the `top_k`, and of those all but the nucleus, to -inf.

    Among equal logits the lower token is kept first; the most probable token is always kept.
    """
    order = jnp.argsort(-logits, axis=-1, stable=True)
    ranked = jnp.take_along_axis(logits, order, axis=-1)
    ranked = jnp.where(jnp.arange(logits.shape[-1])[None] < top_k, ranked, -jnp.inf)
    probabilities = jax.nn.softmax(ranked, axis=-1)
    before = jnp.cumsum(probabilities, axis=-1) - probabilities
    # p = 1 keeps everything, although `before` may round up to 1 before the last token.
    kept = (before < top_p) | (top_p >= 1)
    ranked = jnp.where(kept.at[:, 0].set(True), ranked, -jnp.inf)
    return jnp.put_along_axis(logits, order, ranked, axis=-1, inplace=False)


def draw_tokens(
    logits: Float[Array, "B V"],
    keys: Key[Array, " B"],
    thresholds: tuple[Float[Array, ""], Int[Array, ""], Float[Array, ""]],
    *,
    greedy: bool,
    truncates: bool,
) -> Int[Array, " B"]:
    """Draws a token for each row; `thresholds` as in `Sampling.thresholds`, inside jit."""
    if greedy:
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)
    temperature, top_k, top_p = thresholds
    # Relative to the largest, which stays finite however small the temperature is.
    logits = (logits - logits.max(axis=-1, keepdims=True)) / temperature
    if truncates:
        logits = truncate(logits, top_k, top_p)
    return jax.vmap(jax.random.categorical)(keys, logits).astype(jnp.int32)
