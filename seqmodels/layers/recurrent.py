"""A stack of recurrent cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Bool, Float

from seqmodels.layers.embedding import ACTIVATIONS


class RecurrentStack(nn.Module):
    """L cells, each fed by the one below, with dropout on every output.

    Source: Zaremba et al., 2014, arXiv:1409.2329.

    Attributes:
      make_cell: builds one cell: `initial_state(batch_size)`, and a call on a chunk.
      num_layers: L.
      dropout_rate: share of the outputs set to 0; the recurrent connections are left alone.
    """

    make_cell: Callable[[], nn.Module]
    num_layers: int
    dropout_rate: float = 0.0

    def setup(self) -> None:
        self.cells = [self.make_cell() for _ in range(self.num_layers)]
        self.dropout = nn.Dropout(self.dropout_rate)

    def initial_state(self, batch_size: int) -> dict[str, Any]:
        """One state a layer, every leaf [B, ...]."""
        return {f"layer_{n}": cell.initial_state(batch_size) for n, cell in enumerate(self.cells)}

    def __call__(
        self,
        x: Float[Array, "B T D"],
        state: dict[str, Any],
        starts: Bool[Array, "B T"] | None = None,
        valid: Bool[Array, "B T"] | None = None,
        *,
        train: bool,
    ) -> tuple[Float[Array, "B T N"], dict[str, Any]]:
        after = {}
        for name, cell in zip(state, self.cells, strict=True):
            x, after[name] = cell(x, state[name], starts, valid)
            x = self.dropout(x, deterministic=not train)
            x = nn.with_logical_constraint(x, ACTIVATIONS)
        return x, after
