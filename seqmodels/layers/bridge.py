"""From the states of a bidirectional encoder to those of a decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array

from seqmodels.layers.cells import Join
from seqmodels.layers.dense import Dense


class StateBridge(nn.Module):
    """Makes one state of a cell out of two, the forward and the backward one.

        s = tanh([s_forward, s_backward] W + b)                # each array of the state separately

    Attributes:
      merge: the cell's `merge`, which says which arrays to join.
      dtype: dtype of the products; states are float32.
    """

    merge: Callable[[Any, Any, Join], Any]
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, forward: Any, backward: Any) -> Any:
        """The state; `forward` and `backward` have one structure, every leaf [B, ...]."""
        return self.merge(forward, backward, self._join)

    def _join(self, name: str, a: Array, b: Array) -> Array:
        flat = [x.reshape(x.shape[0], -1) for x in (a, b)]
        dense = Dense(
            flat[0].shape[1],
            ("gates", "hidden"),
            kernel_init=nn.initializers.glorot_uniform(),
            dtype=self.dtype,
            output_dtype=jnp.float32,
            name=name,
        )
        return jnp.tanh(dense(jnp.concatenate(flat, axis=1))).reshape(a.shape)
