"""Positions that are added to token vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from seqmodels.config.transformers import Position
from seqmodels.layers.dense import Initializer
from seqmodels.layers.sharding import parameter
from seqmodels.ops.positions import sinusoidal


class PositionTable(nn.Module):
    """A learned vector for each position, [max_length, D]; zeros past the end.

    Attributes:
      max_length: number of positions.
      model_dim: D.
      dtype: dtype of the result.
      table_init: initializer of the table.
    """

    max_length: int
    model_dim: int
    dtype: Any = jnp.float32
    table_init: Initializer = nn.initializers.normal(0.02)

    @nn.compact
    def __call__(self, positions: Int[Array, "R T"]) -> Float[Array, "R T D"]:
        shape = (self.max_length, self.model_dim)
        table = parameter(self, "table", self.table_init, (None, "embed"), shape)
        return table.at[positions].get(mode="fill", fill_value=0.0).astype(self.dtype)


def add_positions(
    x: Float[Array, "B T D"],
    positions: Int[Array, "R T"],
    kind: Position,
    table: Callable[[Array], Array] | None = None,
) -> Float[Array, "B T D"]:
    """Adds positions to token vectors.

        learned:     x + table[position]
        sinusoidal:  x sqrt(D) + waves(position)               # Vaswani et al., 2017
        else:        x (rotary and alibi act in the attention)

    Args:
      x: token vectors [B, T, D].
      positions: [B, T], or [1, T] where all rows are equal.
      kind: of position.
      table: a `PositionTable`, for learned positions.
    """
    if kind == Position.LEARNED:
        assert table is not None
        return x + jnp.broadcast_to(table(positions), x.shape)
    if kind == Position.SINUSOIDAL:
        waves = sinusoidal(positions, x.shape[-1]).astype(x.dtype)
        return x * math.sqrt(x.shape[-1]) + jnp.broadcast_to(waves, x.shape)
    return x
