"""Recurrent cells in both directions, and stacks of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from seqmodels.layers.record import hook, record
from seqmodels.layers.sharding import by_rows
from seqmodels.ops.recurrent import document_ends


class Bidirectional(nn.Module):
    """Two cells, one for each direction, called like one cell.

        y = concat(y_forward, y_backward)                      # [B, T, 2N]

    Source: Schuster and Paliwal, 1997.

    The cell that reads backwards restarts at the last token of every document. It starts with the
    state after the end of the chunk and returns the state after reading the first token. After a
    whole row, the forward state is therefore that of the last token and the backward state that of
    the first, wherever the padding is.

    Attributes:
      make_cell: builds one `RecurrentCell`.
    """

    make_cell: Callable[[], nn.Module]

    def setup(self) -> None:
        self.forward, self.backward = self.make_cell(), self.make_cell()

    def initial_state(self, batch_size: int) -> dict[str, Any]:
        """{"forward": .., "backward": ..}, every leaf [B, ...]."""
        cells = {"forward": self.forward, "backward": self.backward}
        return {name: cell.initial_state(batch_size) for name, cell in cells.items()}

    def __call__(
        self,
        x: Float[Array, "B T D"],
        state: dict[str, Any],
        starts: Bool[Array, "B T"] | None = None,
        valid: Bool[Array, "B T"] | None = None,
    ) -> tuple[Float[Array, "B T M"], dict[str, Any]]:
        ahead, forward = self.forward(x, state["forward"], starts, valid)
        marks = (document_ends(starts, valid), valid)
        turned = (None if mark is None else jnp.flip(mark, axis=1) for mark in marks)
        back, backward = self.backward(jnp.flip(x, axis=1), state["backward"], *turned)
        y = jnp.concatenate([ahead, jnp.flip(back, axis=1)], axis=-1)
        return y, {"forward": forward, "backward": backward}


class RecurrentStack(nn.Module):
    """L cells, each reading the output of the one below, with dropout on every output.

    Source: Zaremba et al., 2014, arXiv:1409.2329.

    Attributes:
      make_cell: builds one `RecurrentCell`, or a `Bidirectional` one.
      num_layers: L.
      dropout_rate: share of the outputs set to 0; recurrent connections have no dropout.
    """

    make_cell: Callable[[], nn.Module]
    num_layers: int
    dropout_rate: float = 0.0

    def setup(self) -> None:
        self.cells = [self.make_cell() for _ in range(self.num_layers)]
        self.dropout = nn.Dropout(self.dropout_rate)

    def initial_state(self, batch_size: int) -> dict[str, Any]:
        """One state per layer, every leaf [B, ...]."""
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
        # Read backwards, the steps would change places with those of the other end.
        one_way = not isinstance(self.cells[0], Bidirectional)
        split = functools.partial(by_rows, splits_time=one_way and self.cells[0].splits_time)
        x, state, after, lens = split(x), split(state), {}, []
        # By name, because jit returns a state sorted, with layer_10 before layer_2.
        for n, cell in enumerate(self.cells):
            x = hook(self, f"resid_pre_{n}", x)
            x, after[f"layer_{n}"] = cell(x, state[f"layer_{n}"], starts, valid)
            x = split(self.dropout(x, deterministic=not train))
            lens.append(x)
        record(self, "lens", lambda: jnp.stack(lens))  # [L, B, T, N]
        return x, after
