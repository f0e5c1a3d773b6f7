"""Residual blocks with a recurrent cell, and stacks of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from seqmodels.config.models import Activation
from seqmodels.config.transformers import NormPlacement
from seqmodels.layers.convolution import ShortConvolution
from seqmodels.layers.dense import Dense, Initializer
from seqmodels.layers.feedforward import FeedForward
from seqmodels.layers.norms import make_norm
from seqmodels.layers.record import hook, record
from seqmodels.layers.sharding import ACTIVATIONS, by_rows, constrain


class ResidualBlock(nn.Module):
    """A Transformer block with a recurrent cell in place of attention.

        pre:   x = x + out(cell(conv(norm(x))));   x = x + feedforward(norm(x))
        post:  x = norm(x + out(cell(conv(x))));   x = norm(x + feedforward(x))

    conv is a short causal convolution of each feature (as in Mamba: Gu and Dao, 2023,
    arXiv:2312.00752); out is a linear map, present where the cell is not as wide as x. With pre,
    conv, minGRU or minLSTM, and feed-forward it is the block of Feng et al., 2024,
    arXiv:2410.01201; they do not state the kind of norm, which is a layer norm here.

    Attributes:
      make_cell: builds one `RecurrentCell`.
      model_dim: D.
      mlp_dim: F; None = no feed-forward part.
      convolution_width: taps of the convolution; None = no convolution.
      norm_placement: pre or post.
      norm_epsilon: added to the variance.
      activation: of the feed-forward part.
      use_bias: whether the feed-forward part, the linear map and the norms have biases.
      dropout_rate: of the output of each part.
      kernel_init: initializer of the kernels that read x.
      output_init: initializer of the kernels that add to x.
      dtype: dtype of the arithmetic; norms and states are float32.
    """

    make_cell: Callable[[], nn.Module]
    model_dim: int
    mlp_dim: int | None = None
    convolution_width: int | None = None
    norm_placement: NormPlacement = NormPlacement.PRE
    norm_epsilon: float = 1e-5
    activation: Activation = Activation.GELU
    use_bias: bool = True
    dropout_rate: float = 0.0
    kernel_init: Initializer = nn.initializers.lecun_normal()
    output_init: Initializer = nn.initializers.lecun_normal()
    dtype: Any = jnp.float32

    def setup(self) -> None:
        common = {"use_bias": self.use_bias, "dtype": self.dtype}
        self.cell = self.make_cell()
        self.cell_norm = make_norm(epsilon=self.norm_epsilon, **common)
        if self.convolution_width is not None:
            self.convolution = ShortConvolution(
                self.convolution_width, self.model_dim, dtype=self.dtype
            )
        if self._projects():
            self.out = Dense(
                self.model_dim, ("hidden", "embed"), kernel_init=self.output_init, **common
            )
        if self.mlp_dim is not None:
            inits = {"kernel_init": self.kernel_init, "output_init": self.output_init}
            self.feedforward = FeedForward(self.mlp_dim, self.activation, **inits, **common)
            self.feedforward_norm = make_norm(epsilon=self.norm_epsilon, **common)
        self.dropout = nn.Dropout(self.dropout_rate)

    def _projects(self) -> bool:
        return self.cell.output_dim != self.model_dim

    def initial_state(self, batch_size: int) -> dict[str, Any]:
        """State of the cell, and the tokens that the convolution still needs."""
        state = {"cell": self.cell.initial_state(batch_size)}
        if self.convolution_width is not None:
            state["convolution"] = self.convolution.initial_state(batch_size)
        return state

    def __call__(
        self,
        x: Float[Array, "B T D"],
        state: dict[str, Any],
        starts: Bool[Array, "B T"] | None = None,
        valid: Bool[Array, "B T"] | None = None,
        *,
        train: bool,
    ) -> tuple[Float[Array, "B T D"], dict[str, Any]]:
        split = functools.partial(by_rows, splits_time=self.cell.splits_time)
        state, after = split(state), {}
        x = hook(self, "resid_pre", x)

        def recur(x: Array) -> Array:
            x = split(x)
            if self.convolution_width is not None:
                x, after["convolution"] = self.convolution(x, state["convolution"], starts, valid)
            y, after["cell"] = self.cell(x, state["cell"], starts, valid)
            return split(self.out(y) if self._projects() else y)

        x = self._add(x, recur, self.cell_norm, train)
        if self.mlp_dim is not None:
            x = self._add(x, self.feedforward, self.feedforward_norm, train)
        record(self, "resid_post", lambda: x)
        return constrain(x, ACTIVATIONS), after

    def _add(
        self, x: Array, part: Callable[[Array], Array], norm: Callable[[Array], Array], train: bool
    ) -> Array:
        pre = self.norm_placement == NormPlacement.PRE
        x = x + self.dropout(part(norm(x) if pre else x), deterministic=not train)
        return x if pre else norm(x)


class ResidualStack(nn.Module):
    """L blocks, followed by a norm with pre-norm; called like `layers.recurrent.RecurrentStack`.

    Attributes:
      make_block: builds one block.
      num_layers: L.
    """

    make_block: Callable[[], ResidualBlock]
    num_layers: int

    def setup(self) -> None:
        self.blocks = [self.make_block() for _ in range(self.num_layers)]
        first = self.blocks[0]
        self.final_norm = None
        if first.norm_placement == NormPlacement.PRE:
            common = {"use_bias": first.use_bias, "dtype": first.dtype}
            self.final_norm = make_norm(epsilon=first.norm_epsilon, **common)

    def initial_state(self, batch_size: int) -> dict[str, Any]:
        """One state per layer, every leaf [B, ...]."""
        return {f"layer_{n}": b.initial_state(batch_size) for n, b in enumerate(self.blocks)}

    def __call__(
        self,
        x: Float[Array, "B T D"],
        state: dict[str, Any],
        starts: Bool[Array, "B T"] | None = None,
        valid: Bool[Array, "B T"] | None = None,
        *,
        train: bool,
    ) -> tuple[Float[Array, "B T D"], dict[str, Any]]:
        after, lens = {}, []
        # By name, because jit returns a state sorted, with layer_10 before layer_2.
        for n, block in enumerate(self.blocks):
            name = f"layer_{n}"
            x, after[name] = block(x, state[name], starts, valid, train=train)
            lens.append(x)
        norm = (lambda x: x) if self.final_norm is None else self.final_norm
        record(self, "lens", lambda: jnp.stack([norm(x) for x in lens]))  # [L, B, T, D]
        return norm(x), after
