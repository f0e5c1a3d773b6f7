"""From the states of a bidirectional encoder to those of a decoder."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from seqmodels.layers.dense import Dense
from seqmodels.ops.scan import SoftmaxState


class StateBridge(nn.Module):
    """Makes one state of a cell out of two, the forward and the backward one.

        s = tanh([s_forward, s_backward] W + b)                # each part of the state by itself

    Of a running softmax (Aaren) two averages are mapped instead, since its parts are no free
    numbers: the new state is that of one token of score 0 whose value is the result.

    Attributes:
      dtype: dtype of the products; states are float32.
    """

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, forward: Any, backward: Any) -> Any:
        """The state; `forward` and `backward` are of one structure, every leaf [B, ...]."""
        if isinstance(forward, SoftmaxState):
            value = self._join("value", _average(forward), _average(backward))
            heads = forward.total.shape
            return SoftmaxState(jnp.zeros(heads), jnp.ones(heads), value)
        names, structure = jax.tree_util.tree_flatten_with_path(forward)
        parts = zip(names, jax.tree.leaves(backward), strict=True)
        joined = [
            self._join("".join(str(step).strip(".") for step in path) or "state", a, b)
            for (path, a), b in parts
        ]
        return jax.tree.unflatten(structure, joined)

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


def _average(state: SoftmaxState) -> Float[Array, "B H K"]:
    total = state.total[..., None]
    return state.weighted / jnp.where(total > 0, total, 1.0)
