"""A text that was interrupted: what is needed to resume it later, elsewhere, or several times."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from seqmodels.types import Carry

RECENT = 256
"""Tokens that the state of a model without bounds keeps: an end may begin in them, and an
unfinished character."""


@dataclasses.dataclass(frozen=True)
class TextState:
    """The carry of a text, and the token that it has not read yet.

    Attributes:
      carry: of one row; leaves [1, ...] on the host.
      tokens: the last tokens of the text, the one that was not read included. A model with bounded
        positions keeps as many as it has positions, because it continues from them past its bound.
      num_read: positions that are taken in the carry.
      num_drawn: the number of the next draw.
      seed: of the draws so far.
    """

    carry: Carry
    tokens: Int[np.ndarray, " N"]
    num_read: int
    num_drawn: int
    seed: int

    def carry_of(self, rows: int) -> Carry:
        """Returns the carry of `rows` texts that all resume here, on the device."""
        return jax.tree.map(lambda x: jnp.repeat(jnp.asarray(x), rows, axis=0), self.carry)
